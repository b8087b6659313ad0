import { Clock, Effect } from "effect"
import { type Drift, driftOf } from "../domain/Drift.ts"
import { version } from "../domain/Image.ts"
import { containerName, targetOf } from "../domain/Names.ts"
import type { RestartPolicy } from "../domain/Scalars.ts"
import type { DesiredState, HealthState, ObservedState } from "../domain/State.ts"
import type { Container } from "../services/ContainerRuntime.ts"
import type { Monitor } from "../services/Monitor.ts"
import { type ComponentRow, Registry, type RestartRow } from "../services/Registry.ts"
import { ContainerHealth } from "./ContainerHealth.ts"

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
  /** The policy by which podman itself starts it again, in place of the agent. */
  readonly podmanRestart: string | undefined
  /** The end of the maintenance window that it is in, in milliseconds since the epoch. */
  readonly silencedUntil: number | undefined
  readonly generation: number
  /** Since when it is as it is. */
  readonly observedAt: number
}

/** Stopped is what was asked for; an end that nobody asked for is `exited`. */
export const observe = (
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

/** Somebody renamed it. Of what a container was made from nothing can be changed but with its id. */
const isOther = (row: ComponentRow, container: Container | undefined): boolean =>
  container !== undefined && container.containerName !== containerName(row.service, row.component)

/** What a component is, from its row, what is known beside it, and its container; `answered`: whether that could be asked for. */
export const liveOf = (row: ComponentRow, known: Known, container: Container | undefined, answered: boolean): Live => {
  const { flapping, health, now, policy, restarts, silencedUntil } = known(row, container)
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
    silencedUntil,
    podmanRestart: row.podmanRestart,
    generation: row.generation,
    observedAt: observed === row.observed ? row.observedAt : now,
    drift: rests
      ? []
      : driftOf({
          desired: row.desired,
          observed,
          exitCode,
          restart: policy,
          image: { desired: row.imageId, actual: container?.imageId },
          otherSpec: isOther(row, container),
          flapping
        })
  }
}

/** What is known of a component beside its row: its restart policy, restarts so far, what its probes and time have shown. */
export type Known = (
  row: ComponentRow,
  container: Container | undefined
) => {
  readonly policy: RestartPolicy
  readonly restarts: RestartRow | undefined
  readonly health: HealthState | undefined
  readonly flapping: boolean
  readonly silencedUntil: number | undefined
  readonly now: number
}

/** To be asked for once, for many components. */
export const knownNow = (monitor: Pick<Monitor["Type"], "flaps" | "silencedUntil">) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const services = yield* registry.services
    const policies = new Map(
      services.flatMap(({ service, spec }) =>
        spec.components.map((c) => [targetOf(service, c.name), c.restart] as const)
      )
    )
    const counts = new Map((yield* registry.restarts).map((row) => [row.containerId, row]))
    const probed = yield* (yield* ContainerHealth).all
    const now = yield* Clock.currentTimeMillis
    const known: Known = (row, container) => ({
      now,
      flapping: monitor.flaps(row.service, row.component),
      silencedUntil: monitor.silencedUntil(row.service, row.component, now),
      policy: policies.get(targetOf(row.service, row.component)) ?? "no",
      restarts: counts.get(row.containerId ?? ""),
      health: container?.state === "running" ? probed.get(container.id)?.state : undefined
    })
    return known
  })

/** The services with a deployment under way, and the new containers of their components: no drift, and not yet rows. */
export const underWay = Effect.gen(function* () {
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

/** Why a state is as it is, as far as the container tells. */
const messageOf = ({ exitCode, health, observed }: Live, detail: string | undefined): string => {
  if (observed === "exited" && exitCode !== undefined) return `exit code ${exitCode}`
  if (health === "unhealthy") return detail ?? ""
  return observed === "removed" ? "no act of MCP removed it" : ""
}

/** Brings the registry up to what was seen of components whose rows these are; no deployment may be under way. */
export const record = (rows: ReadonlyArray<ComponentRow>, seen: ReadonlyArray<Live>) =>
  Effect.gen(function* () {
    const before = new Map(rows.map((row) => [targetOf(row.service, row.component), row.observed]))
    const changed = seen.filter((one) => before.get(targetOf(one.service, one.component)) !== one.observed)
    if (changed.length === 0) return
    const probed = yield* (yield* ContainerHealth).all
    yield* (yield* Registry).observe(
      changed.map((one) => ({
        service: one.service,
        component: one.component,
        observed: one.observed,
        message: messageOf(one, probed.get(one.containerId ?? "")?.detail)
      }))
    )
  })
