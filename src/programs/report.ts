import { Effect } from "effect"
import { type Drift, driftOf } from "../domain/Drift.ts"
import { version } from "../domain/Image.ts"
import { containerName } from "../domain/Names.ts"
import type { RestartPolicy } from "../domain/Scalars.ts"
import type { DesiredState, HealthState, ObservedState } from "../domain/State.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import {
  type ComponentRow,
  type DeploymentRow,
  Registry,
  type RestartRow,
  type ServiceRow
} from "../services/Registry.ts"
import { ContainerHealth } from "./ContainerHealth.ts"
import { findService } from "./findService.ts"

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
  readonly drift: ReadonlyArray<Drift>
  /** Undefined without a health check, and until the first probe. */
  readonly health: HealthState | undefined
  readonly restarts: number
  /** When the agent starts it again, in milliseconds since the epoch. */
  readonly restartAt: number | undefined
}

/** Stopped is what was asked for; an end that nobody asked for is `exited`. */
const observe = (
  row: ComponentRow,
  container: Container | undefined,
  health: HealthState | undefined
): ObservedState => {
  if (container === undefined) return "removed"
  switch (container.state) {
    case "running":
      return health === "unhealthy" ? "unhealthy" : "running"
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

const liveOf = (row: ComponentRow, known: Known, container: Container | undefined, answered: boolean): Live => {
  const { health, policy, restarts } = known(row, container)
  // What ended by its policy has, also where podman has lost its container.
  const rests = container === undefined && restarts?.rests === true
  const observed = !answered ? "unknown" : rests ? "exited" : observe(row, container, health)
  // A container is made by its image's id: the row has the name that was asked for.
  const image = container === undefined || container.imageId === row.imageId ? row.image : container.image
  const exitCode = observed === "exited" ? container?.exitCode : undefined
  return {
    service: row.service,
    component: row.component,
    container: containerName(row.service, row.component),
    containerId: container?.id,
    desired: row.desired,
    observed,
    image,
    version: version(image),
    startedAt: container?.state === "running" ? container.startedAt : undefined,
    exitCode,
    ports: container?.ports ?? [],
    health,
    restarts: restarts?.restarts ?? 0,
    restartAt: observed === "exited" ? restarts?.nextAt : undefined,
    drift: rests
      ? []
      : driftOf({
          desired: row.desired,
          observed,
          exitCode,
          restart: policy,
          image: { desired: row.imageId, actual: container?.imageId }
        })
  }
}

/** What is known of a component beside its row: its restart policy, restarts so far, and what its probes have shown. */
type Known = (
  row: ComponentRow,
  container: Container | undefined
) => {
  readonly policy: RestartPolicy
  readonly restarts: RestartRow | undefined
  readonly health: HealthState | undefined
}

const knownNow = Effect.gen(function* () {
  const registry = yield* Registry
  const services = yield* registry.services
  const policies = new Map(
    services.flatMap(({ service, spec }) => spec.components.map((c) => [`${service}/${c.name}`, c.restart] as const))
  )
  const counts = new Map((yield* registry.restarts).map((row) => [row.containerId, row]))
  const probed = yield* (yield* ContainerHealth).all
  const known: Known = (row, container) => ({
    policy: policies.get(`${row.service}/${row.component}`) ?? "no",
    restarts: counts.get(row.containerId ?? ""),
    health: container?.state === "running" ? probed.get(container.id)?.state : undefined
  })
  return known
})

/** The services with a deployment under way, and the new containers of their components: no drift, and not yet rows. */
const underWay = Effect.gen(function* () {
  const registry = yield* Registry
  const deployments = yield* registry.unfinishedDeployments
  const all = yield* Effect.forEach(deployments, ({ id, service }) =>
    Effect.map(registry.steps(id), (steps) => {
      const made = steps.flatMap((step) =>
        step.newContainerId ? [[step.component, step.newContainerId] as const] : []
      )
      return [service, new Map(made)] as const
    })
  )
  return new Map(all)
})

/** What runs now, and the registry brought up to it. Fails when the runtime does not answer. */
export const live = (service: string | undefined) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    if (service !== undefined) yield* findService(service)
    const rows = yield* registry.components(service)
    const known = yield* knownNow
    const byId = new Map((yield* runtime.list).map((container) => [container.id, container]))
    const moving = yield* underWay
    const components = rows.map((row): Live => {
      const newer = moving.get(row.service)?.get(row.component)
      const seen = liveOf(row, known, byId.get(newer ?? row.containerId ?? ""), true)
      return moving.has(row.service) ? { ...seen, drift: [] } : seen
    })
    yield* Effect.forEach(
      components.filter(({ observed, service }, i) => observed !== rows[i]?.observed && !moving.has(service)),
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
      const known = yield* knownNow
      return rows.map((row) => liveOf(row, known, undefined, false))
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
    if (services.length === 0) return []
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
