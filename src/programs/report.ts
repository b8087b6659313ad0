import { Effect } from "effect"
import { version } from "../domain/Image.ts"
import { containerName } from "../domain/Names.ts"
import type { DesiredState, ObservedState } from "../domain/State.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, type DeploymentRow, Registry, type ServiceRow } from "../services/Registry.ts"
import { findService } from "./lifecycle.ts"

/** One component as the runtime has it now. Times are milliseconds since the epoch. */
export interface Live {
  readonly service: string
  readonly component: string
  readonly container: string
  readonly containerId: string | undefined
  readonly desired: DesiredState
  readonly observed: ObservedState
  readonly image: string
  readonly version: string
  readonly startedAt: number | undefined
  readonly exitCode: number | undefined
  readonly ports: ReadonlyArray<string>
}

/** Stopped is what was asked for; an end that nobody asked for is `exited`. */
const observe = (row: ComponentRow, container: Container | undefined): ObservedState => {
  if (container === undefined) return "removed"
  switch (container.state) {
    case "running":
      return "running"
    case "exited":
    case "created":
    case "stopping":
    case "removing":
      return row.desired === "stopped" ? "stopped" : "exited"
    case "paused":
      return "stopped"
    case "unknown":
      return "unknown"
  }
}

const liveOf = (row: ComponentRow, container: Container | undefined, known: boolean): Live => {
  const observed = known ? observe(row, container) : "unknown"
  const image = container?.image ?? row.image
  return {
    service: row.service,
    component: row.component,
    container: containerName(row.service, row.component),
    containerId: container?.id,
    desired: row.desired,
    observed,
    image,
    version: version(image),
    startedAt: observed === "running" ? container?.startedAt : undefined,
    exitCode: observed === "exited" ? container?.exitCode : undefined,
    ports: container?.ports ?? []
  }
}

/** What runs now, and the registry brought up to it. Fails when the runtime does not answer. */
export const live = (service: string | undefined) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    if (service !== undefined) yield* findService(service)
    const rows = yield* registry.components(service)
    const byId = new Map((yield* runtime.list).map((container) => [container.id, container]))
    const components = rows.map((row) => liveOf(row, byId.get(row.containerId ?? ""), true))
    yield* Effect.forEach(
      components.filter((component, i) => component.observed !== rows[i]?.observed),
      ({ service, component, observed }) => registry.setObserved(service, component, observed),
      { discard: true }
    )
    return components
  })

/** As `live`; with the runtime away what the registry has, each observed state `unknown`. */
export const liveOrUnknown = (service: string | undefined) =>
  Effect.catchTag(live(service), "RuntimeUnavailable", () =>
    Effect.gen(function* () {
      const rows = yield* (yield* Registry).components(service)
      return rows.map((row) => liveOf(row, undefined, false))
    })
  )

export interface Status {
  readonly row: ServiceRow
  readonly components: ReadonlyArray<Live & { readonly generation: number; readonly observedAt: number }>
  readonly deployments: ReadonlyArray<DeploymentRow>
}

/** Services with their components, as the registry has them after a look at the runtime. */
export const statusOf = (service: string | undefined, history: number) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const services = service === undefined ? yield* registry.services : [yield* findService(service)]
    const components = yield* liveOrUnknown(service)
    const rows = new Map((yield* registry.components(service)).map((row) => [`${row.service}/${row.component}`, row]))
    return yield* Effect.forEach(services, (row) =>
      Effect.map(
        history > 0 ? registry.deployments(row.service, history) : Effect.succeed([]),
        (deployments): Status => ({
          row,
          deployments,
          components: components
            .filter((component) => component.service === row.service)
            .map((component) => {
              const known = rows.get(`${component.service}/${component.component}`)
              return { ...component, generation: known?.generation ?? 0, observedAt: known?.observedAt ?? 0 }
            })
        })
      )
    )
  })
