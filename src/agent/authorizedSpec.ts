import { Effect, Either } from "effect"
import { parseVolume } from "../domain/Scalars.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import type { ServiceSpec as WireSpec } from "../gen/mcp/v1/mcp_pb.ts"
import { fromProto } from "../grpc/spec.ts"
import { SpecInvalid } from "../programs/ProgramError.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { authorize, authorizeBeyond } from "./CallerContext.ts"

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

/** What of a spec lies outside the service's own folder and bridge. */
const beyond = (spec: ServiceSpec, filesRoot: string): ReadonlyArray<string> => {
  const own = `${filesRoot}/${spec.name}`
  const outside = (component: ComponentSpec) =>
    component.volumes.filter((text) => {
      const source = parseVolume(text)?.source ?? ""
      return source !== own && !source.startsWith(`${own}/`)
    })
  return spec.components.flatMap((component) => [
    ...outside(component).map((volume) => `volume ${volume}`),
    ...(component.network === undefined || component.network === "none" ? [] : [`network ${component.network}`]),
    ...component.routes.flatMap((route) => (route.hostname === undefined ? [] : [`hostname ${route.hostname}`]))
  ])
}

/** A definition that the caller may bring to this node. */
export const authorized = (wire: WireSpec | undefined) =>
  Effect.gen(function* () {
    yield* authorize(wire?.name ?? "")
    const spec = yield* specOf(wire)
    yield* authorizeBeyond(spec.name, beyond(spec, (yield* NodeInfo).filesRoot))
    return spec
  })
