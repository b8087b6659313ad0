import { Effect, Either } from "effect"
import type { ServiceSpec } from "../domain/Spec.ts"
import type { ServiceSpec as WireSpec } from "../gen/mcp/v1/mcp_pb.ts"
import { fromProto } from "../grpc/spec.ts"
import { SpecInvalid } from "../programs/ProgramError.ts"
import { authorizeSpec } from "./beyond.ts"
import { authorize } from "./CallerContext.ts"

const specOf = (wire: WireSpec | undefined): Effect.Effect<ServiceSpec, SpecInvalid> => {
  if (wire === undefined) {
    return new SpecInvalid({ service: "", violations: [{ field: "spec", description: "is missing" }] })
  }
  return Either.match(fromProto(wire), {
    onRight: (spec): Effect.Effect<ServiceSpec, SpecInvalid> => Effect.succeed(spec),
    onLeft: (violations) => {
      const [first, ...rest] = violations.map((v) => ({ field: v.path.join("."), description: v.message }))
      return new SpecInvalid({
        service: wire.name,
        violations: [first ?? { field: "spec", description: "is not a service" }, ...rest]
      })
    }
  })
}

/** A definition that the caller may bring to this node. */
export const authorized = (wire: WireSpec | undefined) =>
  Effect.gen(function* () {
    yield* authorize(wire?.name ?? "")
    const spec = yield* specOf(wire)
    yield* authorizeSpec(spec)
    return spec
  })
