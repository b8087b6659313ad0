import { Effect } from "effect"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { Registry, type ServiceRow } from "../services/Registry.ts"
import { gather } from "./facts.ts"
import { ordered, routesTo, startOne, stopOne } from "./oneComponent.ts"
import { changeRoutes, keysOf } from "./routes.ts"

/**
 * For a definition that differs in nothing but perhaps `active` from what the registry has: all of it is desired as that
 * says, and the `moving` components are started from the stored spec, or stopped. To be run under the service's lock.
 */
export const followActive = (
  row: ServiceRow,
  { active }: Pick<ServiceSpec, "active">,
  moving: ReadonlySet<string>,
  actor: string
) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { service } = row
    const desired = active ? "running" : "stopped"
    const stored = { ...row, spec: { ...row.spec, active }, desired, pinnedFrom: undefined } as const
    // Desired is written first: whatever happens next, nothing starts what is to stop.
    if (row.desired !== desired || row.spec.active !== active || row.pinnedFrom !== undefined) {
      yield* registry.putService(stored)
    }
    const defined = new Set<string>(row.spec.components.map(({ name }) => name))
    const otherwise = (yield* registry.components(service)).filter(
      (each) => defined.has(each.component) && each.desired !== desired
    )
    for (const { component } of otherwise) yield* registry.setDesired(service, component, desired, actor)
    const components = ordered(row.spec, row.spec.components)
    const working = components.filter(({ name }) => moving.has(name))
    // Routes are seen to also of what stays as it is: an act that was cut off may have left them otherwise.
    if (!active) {
      yield* changeRoutes([], yield* keysOf(service, components))
      return yield* Effect.forEach(working.reverse(), (each) => stopOne(service, each), { discard: true })
    }
    yield* Effect.forEach(working, (each) => startOne(stored, each), { discard: true })
    const { current } = yield* gather(service)
    const going = ({ name }: ComponentSpec) => !moving.has(name) && current.get(name)?.state === "running"
    yield* routesTo(stored, components.filter(going))
  })
