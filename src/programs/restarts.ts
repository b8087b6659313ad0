import { Clock, Effect, FiberMap, Option } from "effect"
import { containerName } from "../domain/Names.ts"
import { nextRestart, none, type RestartsSoFar } from "../domain/Restart.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, Registry, type RestartRow } from "../services/Registry.ts"
import { revive } from "./containers.ts"
import { endOf } from "./endOf.ts"
import { gather } from "./facts.ts"
import { follow } from "./follow.ts"
import { routesTo } from "./lifecycle.ts"
import { noteFailure } from "./noteFailure.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

interface Ended {
  readonly row: ComponentRow
  readonly container: Container
  readonly soFar: RestartsSoFar
  readonly next: RestartsSoFar
}

const keyOf = (service: string, component: string) => `${service}/${component}`

const soFarOf = (rows: ReadonlyArray<RestartRow>, { component, containerId, service }: ComponentRow): RestartsSoFar =>
  rows.find((row) => row.service === service && row.component === component && row.containerId === containerId) ?? none

/** The containers that have ended, should run, and are started again by their restart policy. */
const findEnded = (only: string | undefined) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const runtime = yield* ContainerRuntime
    const locks = yield* ServiceLocks
    const services = new Map((yield* registry.services).map((row) => [row.service, row]))
    const rows = yield* registry.components(only)
    const restarts = yield* registry.restarts
    const containers = new Map((yield* runtime.list).map((container) => [container.id, container]))
    const found: Array<Ended> = []
    for (const row of rows) {
      const container = containers.get(row.containerId ?? "")
      const service = services.get(row.service)
      const policy = service?.spec.components.find(({ name }) => name === row.component)?.restart
      if (row.desired !== "running" || container?.state !== "exited" || !service || !policy) continue
      if (service.undeploying || !(yield* locks.lets(row.service, container.id))) continue
      const ranMs = (container.finishedAt ?? 0) - (container.startedAt ?? 0)
      const soFar = soFarOf(restarts, row)
      const next = nextRestart(policy, { exitCode: container.exitCode, ranMs }, soFar)
      if (next) found.push({ row, container, soFar, next })
    }
    return found
  })

const note = ({ container, row }: Ended, state: RestartsSoFar, containerId: string, nextAt: number | undefined) =>
  Effect.flatMap(Registry, (registry) =>
    registry.putRestart({
      service: row.service,
      component: row.component,
      containerId,
      ...state,
      endedAt: container.finishedAt ?? 0,
      nextAt
    })
  )

/** Looked at again under the lock: another act may have changed what should be. */
const startAgain = (ended: Ended) =>
  Effect.gen(function* () {
    const { component, service } = ended.row
    const registry = yield* Registry
    const runtime = yield* ContainerRuntime
    const stored = Option.getOrUndefined(yield* registry.service(service))
    const facts = yield* gather(service)
    const row = facts.rows.get(component)
    const current = facts.current.get(component)
    const spec = stored?.spec.components.find(({ name }) => name === component)
    if (!stored || !spec || stored.undeploying || row?.desired !== "running") return
    if (current?.id !== ended.container.id || current.state !== "exited") return
    const { reason, why } = yield* endOf(current.id, current.exitCode ?? 0)
    yield* Effect.logWarning("a container ended and is started again").pipe(
      Effect.annotateLogs({ why, restarts: ended.next.restarts })
    )
    yield* note(ended, ended.next, current.id, undefined)
    // One that is set aside by a deployment goes on under its other name, and as it is.
    if (current.containerName !== containerName(service, component)) return yield* runtime.start(current.id)
    const act = { service, component, kind: "restarted", from: "exited", actor: "" } as const
    const id = yield* Effect.tapError(revive(stored, spec, facts), (error) =>
      noteFailure({ ...act, to: "failed" }, error)
    )
    if (id !== current.id) yield* note(ended, ended.next, id, undefined)
    yield* registry.recordEvent({ ...act, to: "running", message: why, reason: reason.toUpperCase() })
    yield* registry.setObserved(service, component, "running")
    yield* routesTo(stored, [spec])
  })

/**
 * Carries out the restart policies of all services, as long as its scope lasts. A pending restart belongs to one
 * container, and dies when another act takes the service's lock; once that is over the service is looked at anew.
 */
export const superviseRestarts = Effect.gen(function* () {
  const locks = yield* ServiceLocks
  const pending = yield* FiberMap.make<string>()
  /** When each was last tried. */
  const tried = new Map<string, { readonly container: string; readonly at: number }>()

  const look: (only: string | undefined) => Effect.Effect<void, never, Needed> = (only) =>
    findEnded(only).pipe(
      Effect.flatMap((all) => Effect.forEach(all, plan, { discard: true })),
      Effect.catchAllCause((cause) => Effect.logWarning("restarts are looked for again later", cause))
    )

  const plan = (ended: Ended) =>
    Effect.gen(function* () {
      const { component, service } = ended.row
      const key = keyOf(service, component)
      if (yield* FiberMap.has(pending, key)) return
      const now = yield* Clock.currentTimeMillis
      const { delayMs } = ended.next
      const last = tried.get(key)
      const again = last?.container === ended.container.id ? last.at : 0
      // What ended while the agent was away has waited already; podman tells the time of an end in whole seconds. After a
      // restart that failed the pause begins anew.
      const waited = now - Math.max(ended.container.finishedAt ?? now, again) > delayMs + 1_000
      const at = waited ? now : now + delayMs
      yield* note(ended, ended.soFar, ended.container.id, at)
      const trying = Effect.map(Clock.currentTimeMillis, (at) => tried.set(key, { container: ended.container.id, at }))
      const restart = locks
        .automatically(
          service,
          ended.container.id,
          "a restart"
        )(Effect.zipRight(trying, startAgain(ended)))
        .pipe(
          Effect.catchAllCause((cause) => Effect.logWarning("a restart failed", cause)),
          Effect.delay(at - now),
          Effect.annotateLogs({ service, component })
        )
      yield* FiberMap.run(pending, key, restart)
    })

  const dropPending = (service: string) =>
    Effect.gen(function* () {
      for (const [key] of pending) if (key.startsWith(`${service}/`)) yield* FiberMap.remove(pending, key)
    })

  yield* follow(["died"], look, dropPending)
})

type Needed = Effect.Effect.Context<ReturnType<typeof findEnded>> | Effect.Effect.Context<ReturnType<typeof startAgain>>
