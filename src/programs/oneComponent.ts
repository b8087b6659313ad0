import { Effect } from "effect"
import { startOrder } from "../domain/Plan.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { specHash } from "../domain/SpecHash.ts"
import type { ObservedState } from "../domain/State.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { Registry, type ServiceRow } from "../services/Registry.ts"
import { revive } from "./containers.ts"
import { allocatedTo, gather } from "./facts.ts"
import { strangers } from "./preflight.ts"
import { awaitReady } from "./readiness.ts"
import { changeRoutes, proxyRoutes } from "./routes.ts"

/* What acts on a service's components do with one of them, under the service's lock. */

/** What became of one component; `changed` is false when it was so already. */
export interface Outcome {
  readonly component: string
  readonly changed: boolean
  readonly observed: ObservedState
}

/** The components in the order in which they start; reversed, they stop. */
export const ordered = (spec: ServiceSpec, components: ReadonlyArray<ComponentSpec>) =>
  startOrder(spec.components).flatMap((stage) => components.filter((component) => stage.includes(component.name)))

export const stopOne = (service: string, component: Pick<ComponentSpec, "name" | "stopTimeout">) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const current = (yield* gather(service)).current.get(component.name)
    if (current?.state === "running") yield* runtime.stop(current.id, component.stopTimeout)
    const observed: ObservedState = current === undefined ? "removed" : "stopped"
    yield* registry.setObserved(service, component.name, observed)
    return { component: component.name, changed: current?.state === "running", observed } satisfies Outcome
  })

/** The routes of components whose container runs; called again it changes nothing. */
export const routesTo = (row: ServiceRow, components: ReadonlyArray<ComponentSpec>) =>
  Effect.gen(function* () {
    if (!components.some(({ routes }) => routes.length > 0)) return
    const { current, ports } = yield* gather(row.service)
    const serving = components.map((component) => ({
      component,
      allocated: allocatedTo(ports, current.get(component.name)?.id)
    }))
    yield* changeRoutes(yield* proxyRoutes(row.spec, serving), [])
  })

/** The container of the stored spec, running and ready; made again when it is missing or of an older spec. */
export const startOne = (row: ServiceRow, component: ComponentSpec) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const facts = yield* gather(row.service)
    const current = facts.current.get(component.name)
    const fresh = facts.rows.get(component.name)?.specHash === specHash(component)
    const running = fresh && current?.state === "running"
    if (!running) {
      const [stranger] = strangers(row.spec, [component], facts, (name) => [name])
      if (stranger) return yield* stranger.error
      const container = yield* revive(row, component, facts)
      const allocated = allocatedTo(yield* registry.ports(row.service), container)
      yield* awaitReady(component, { container, allocated })
    }
    yield* registry.setObserved(row.service, component.name, "running")
    yield* routesTo(row, [component])
    return { component: component.name, changed: !running, observed: "running" } satisfies Outcome
  })
