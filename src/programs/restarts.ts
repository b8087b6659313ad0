import { Clock, Effect, FiberMap, Option } from "effect"
import { containerName, targetOf } from "../domain/Names.ts"
import { backoff, countedAt, dueOf, nextStart, none, type RestartsSoFar } from "../domain/Restart.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, Registry, type RestartRow } from "../services/Registry.ts"
import type { RegistryUnavailable } from "../services/RegistryError.ts"
import { revive } from "./containers.ts"
import { endOf } from "./endOf.ts"
import { gather } from "./facts.ts"
import { follow } from "./follow.ts"
import { noteFailure } from "./noteFailure.ts"
import { routesTo } from "./oneComponent.ts"
import { RuntimeFeed } from "./RuntimeFeed.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { restoreSecrets } from "./secretFiles.ts"

export interface Ended {
  readonly row: ComponentRow
  readonly container: Container
  readonly known: RestartRow | undefined
  readonly next: RestartsSoFar
  readonly at: number
}

/** What the registry has of the restarts of the container that a component's row names. */
export const restartsOf = (rows: ReadonlyArray<RestartRow>, { component, containerId, service }: ComponentRow) =>
  rows.find((row) => row.service === service && row.component === component && row.containerId === containerId)

const write = (row: ComponentRow, container: Container, state: RestartsSoFar, more: Partial<RestartRow> = {}) =>
  Effect.flatMap(Registry, (registry) =>
    registry.putRestart({
      service: row.service,
      component: row.component,
      containerId: container.id,
      restarts: state.restarts,
      failures: state.failures,
      delayMs: state.delayMs,
      endedAt: container.finishedAt ?? 0,
      rests: false,
      ...more
    })
  )

/** A registry that cannot be written is no reason to leave down what can be started. */
const ifItCan = <R>(noted: Effect.Effect<void, RegistryUnavailable, R>) =>
  Effect.catchAll(noted, (error) =>
    Effect.logWarning("a restart is not in the registry").pipe(Effect.annotateLogs({ why: error.message }))
  )

/** Keeps in the registry whether a container rests by its policy: podman may lose it, and what it knew of its end. */
export const noteRest = (row: ComponentRow, container: Container, known: RestartRow | undefined, rests: boolean) =>
  (known?.rests ?? false) === rests ? Effect.void : write(row, container, known ?? none, { rests })

/** The containers that have ended or were never started, should run, and are started by their restart policy. */
const findEnded = (only: string | undefined) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const feed = yield* RuntimeFeed
    const locks = yield* ServiceLocks
    const now = yield* Clock.currentTimeMillis
    const services = new Map((yield* registry.services).map((row) => [row.service, row]))
    const rows = yield* registry.components(only)
    const restarts = yield* registry.restarts
    const containers = yield* feed.containers
    const found: Array<Ended> = []
    for (const row of rows) {
      const container = containers.get(row.containerId ?? "")
      const service = services.get(row.service)
      const policy = service?.spec.components.find(({ name }) => name === row.component)?.restart
      if (row.desired !== "running" || !container || !service || !policy) continue
      // Podman starts it again by itself: both would do it at once.
      if (row.podmanRestart !== undefined) continue
      if (service.undeploying || !(yield* locks.lets(row.service, container.id))) continue
      const known = restartsOf(restarts, row)
      const due = dueOf(policy, container, known, now)
      if (due.act === "rest" || container.state === "running") {
        yield* ifItCan(noteRest(row, container, known, due.act === "rest"))
      }
      if (due.act === "restart") found.push({ row, container, known, next: due.next, at: due.at })
      // An act that made it could not start it, and nothing else tries that again.
      if (due.act === "start") found.push({ row, container, known, ...nextStart(known, now) })
    }
    return found
  })

/**
 * Writes down that a container is started once more, before it is. Where `start` fails, the next attempt waits as after
 * another end.
 */
export const counted = <E, R>({ container, next, row }: Ended, start: Effect.Effect<string, E, R>) =>
  Effect.gen(function* () {
    yield* ifItCan(write(row, container, next))
    const id = yield* start.pipe(
      Effect.tapError(() =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          ifItCan(write(row, container, next, { nextAt: now + Math.min(backoff.mostMs, next.delayMs * 2) }))
        )
      )
    )
    if (id !== container.id) yield* write(row, container, next, { containerId: id })
    return id
  })

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
    if (current?.id !== ended.container.id) return
    const never = current.state === "created"
    if (!never && current.state !== "exited") return
    // Somebody has started it meanwhile, and it ended once more: that end has a pause of its own.
    if (current.startedAt !== ended.container.startedAt) return
    const { reason, why } = never
      ? { reason: "", why: "its container had not been started" }
      : yield* endOf(current.id, current.exitCode ?? 0)
    yield* Effect.logWarning(never ? "a container is started" : "a container ended and is started again").pipe(
      Effect.annotateLogs({ why, restarts: ended.next.restarts })
    )
    // One that is set aside by a deployment goes on under its other name, and as it is.
    const aside = current.containerName !== containerName(service, component)
    const act = { service, component, kind: "restarted", from: "exited", actor: "" } as const
    const again = Effect.tapError(revive(stored, spec, facts), (error) => noteFailure({ ...act, to: "failed" }, error))
    const asItIs = Effect.as(Effect.zipRight(restoreSecrets(row), runtime.start(current.id)), current.id)
    yield* counted(ended, aside ? asItIs : again)
    if (aside) return
    yield* ifItCan(registry.recordEvent({ ...act, to: "running", message: why, reason: reason.toUpperCase() }))
    yield* ifItCan(registry.setObserved(service, component, "running"))
    yield* routesTo(stored, [spec])
  })

/**
 * Carries out the restart policies of all services, as long as its scope lasts. A pending restart belongs to one
 * container, and dies when another act takes the service's lock; once that is over the service is looked at anew.
 */
export const superviseRestarts = Effect.gen(function* () {
  const locks = yield* ServiceLocks
  const pending = yield* FiberMap.make<string>()

  const look: (only: string | undefined) => Effect.Effect<void, never, Needed> = (only) =>
    findEnded(only).pipe(
      Effect.flatMap((all) => Effect.forEach(all, plan, { discard: true })),
      Effect.catchAllCause((cause) => Effect.logWarning("restarts are looked for again later", cause))
    )

  const plan = (ended: Ended) =>
    Effect.gen(function* () {
      const { component, service } = ended.row
      const key = targetOf(service, component)
      if (yield* FiberMap.has(pending, key)) return
      const now = yield* Clock.currentTimeMillis
      const { at, container, known, row } = ended
      const counts = known?.nextAt === undefined ? countedAt(container, known ?? none) : known
      yield* ifItCan(write(row, container, counts, { nextAt: at }))
      const restart = locks
        .automatically(
          service,
          ended.container.id,
          "a restart"
        )(startAgain(ended))
        .pipe(
          Effect.catchAllCause((cause) => Effect.logWarning("a restart failed", cause)),
          Effect.delay(Math.max(0, at - now)),
          Effect.annotateLogs({ service, component })
        )
      yield* FiberMap.run(pending, key, restart)
    })

  const dropPending = (service: string) =>
    Effect.gen(function* () {
      for (const [key] of pending) if (key.startsWith(`${service}/`)) yield* FiberMap.remove(pending, key)
    })

  yield* follow(look, dropPending)
})

type Needed = Effect.Effect.Context<ReturnType<typeof findEnded>> | Effect.Effect.Context<ReturnType<typeof startAgain>>
