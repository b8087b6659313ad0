import { Effect, Either, Option } from "effect"
import { partOf } from "../domain/Adoption.ts"
import { Labels } from "../domain/Names.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { Registry } from "../services/Registry.ts"
import { unmanagedOfService } from "./adoptable.ts"
import { type Facts, gather } from "./facts.ts"
import { findService } from "./findService.ts"
import { planFrom } from "./jobs.ts"
import { ServiceUnmanaged } from "./ProgramError.ts"
import { wantedVersions } from "./secrets.ts"

/** A service as it is, as the spec that a deploy would leave unchanged. */
export interface Exported {
  readonly spec: ServiceSpec
  /** What a deploy of it would change all the same, and what no spec says. */
  readonly warnings: ReadonlyArray<string>
}

/** What a container that MCP did not make has beyond its spec. */
const beyondOf = (service: string, component: string, container: Container) =>
  Effect.gen(function* () {
    if (container.labels[Labels.definition] !== undefined) return []
    const runtime = yield* ContainerRuntime
    const described = yield* Effect.catchTag(
      Effect.asSome(runtime.describe(container.id)),
      "ContainerNotFound",
      () => Effect.succeedNone
    )
    return Option.match(described, {
      onNone: () => [],
      onSome: (description) =>
        Either.match(partOf(service, component, description), { onLeft: () => [], onRight: ({ warnings }) => warnings })
    })
  })

/** Where a deploy would not leave the service as it is. */
const differences = (spec: ServiceSpec, facts: Facts) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const images = new Map<string, string | undefined>()
    for (const { image, name } of spec.components) {
      images.set(name, Option.getOrUndefined(yield* runtime.image(image))?.id)
    }
    const secrets = yield* wantedVersions(spec.name, spec.components)
    return planFrom({ spec, components: [], force: false }, facts, images, secrets).flatMap(
      ({ action, component, why }) => {
        if (action === "unchanged") return []
        return [action === "orphan" ? `${component}: ${why}` : `${component}: a deploy would ${action} it: ${why}`]
      }
    )
  })

export const exportSpec = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const facts = yield* gather(service)
    const { mine } = yield* unmanagedOfService(service, facts.containers)
    const containers = mine.map(({ container }) => container.containerName)
    const known = yield* registry.service(service)
    if (Option.isNone(known) && containers.length > 0) return yield* new ServiceUnmanaged({ service, containers })
    const row = yield* findService(service)
    const spec = { ...row.spec, active: row.desired !== "stopped" }
    const beyond = yield* Effect.forEach(facts.current, ([component, container]) =>
      beyondOf(service, component, container)
    )
    return {
      spec,
      warnings: [
        ...(yield* differences(spec, facts)),
        ...beyond.flat(),
        ...(containers.length === 0
          ? []
          : [`not in the registry: ${containers.join(", ")}; mcp adopt ${service} says what becomes of it`])
      ]
    } satisfies Exported
  })
