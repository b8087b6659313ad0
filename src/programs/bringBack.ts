import { Clock, type Duration, Effect, Either, Option } from "effect"
import { startOrder } from "../domain/Plan.ts"
import { type Due, dueOf } from "../domain/Restart.ts"
import type { ComponentSpec } from "../domain/Spec.ts"
import { type ComponentRow, Registry, type RestartRow, type ServiceRow } from "../services/Registry.ts"
import { ensureNetwork, revive } from "./containers.ts"
import { explain, type ProgramError } from "./explain.ts"
import { allocatedTo, gather } from "./facts.ts"
import { routesTo } from "./oneComponent.ts"
import { strangers } from "./preflight.ts"
import { awaitReady } from "./readiness.ts"
import { recover, tidy } from "./recover.ts"
import { counted, noteRest, restartsOf } from "./restarts.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { restoreSecrets } from "./secretFiles.ts"
import { takeBack } from "./takeBack.ts"

/**
 * What became of one component: it `runs` already, `rests` by its policy, is to be `stopped`, `waits` for its next restart,
 * was `started` or `made` again; such a one may still be `unready`. `failed`: it could not be started.
 */
export type Fate = "runs" | "rests" | "stopped" | "waits" | "started" | "made" | "unready" | "failed"

export interface BroughtBack {
  readonly service: string
  readonly component: string
  readonly fate: Fate
  /** Empty where the fate says it all. */
  readonly why: string
  readonly nextStep: string
}

export interface BringingBack {
  /** Starts also what waits for its next restart, and waits until each is ready. */
  readonly byHand: boolean
  /** How long a component may take to be ready before what depends on it is started all the same. */
  readonly readyWithin: Duration.DurationInput
  /** Who does it; empty: the agent by itself. */
  readonly actor: string
}

interface Work extends BringingBack {
  readonly row: ServiceRow
  readonly component: ComponentSpec
}

const reasons: Partial<Record<Due["act"], string>> = {
  make: "its container was gone",
  start: "its container had not been started",
  restart: "its container had ended"
}

/** Starts the container, or makes it again; `due` is what it needs. */
const bring = (work: Work, due: Due, row: ComponentRow, known: RestartRow | undefined) =>
  Effect.gen(function* () {
    const { component, row: stored } = work
    const { service } = stored
    const registry = yield* Registry
    const facts = yield* gather(service)
    const container = facts.current.get(component.name)
    const [stranger] = strangers(stored.spec, [component], facts, (name) => [name])
    if (stranger) return yield* Effect.fail(stranger.error)
    yield* ensureNetwork(service, component)
    const again = revive(stored, component, facts, true)
    const id =
      due.act === "restart" && container
        ? yield* counted({ row, container, known, next: due.next, at: due.at }, again)
        : yield* again
    const made = id !== container?.id
    const message = reasons[due.act] ?? ""
    const from = due.act === "make" ? "removed" : "exited"
    yield* registry.recordEvent({
      ...{ service, component: component.name, kind: "restarted", from, to: "running" },
      ...{ message, actor: work.actor }
    })
    yield* registry.setObserved(service, component.name, "running")
    yield* Effect.logWarning(made ? "a container was made again" : "a container was started again").pipe(
      Effect.annotateLogs({ why: message })
    )
    return { id, fate: made ? ("made" as const) : ("started" as const), why: message }
  })

const ready = (work: Work, container: string) =>
  Effect.gen(function* () {
    const { component, row } = work
    const allocated = allocatedTo(yield* (yield* Registry).ports(row.service), container)
    const waited = Effect.timeoutOption(awaitReady(component, { container, allocated }), work.readyWithin)
    return yield* Effect.map(waited, Option.isSome)
  })

const factsOf = (service: string, component: string) =>
  Effect.gen(function* () {
    const facts = yield* gather(service)
    const row = facts.rows.get(component)
    if (row?.desired !== "running" || facts.current.has(component)) return facts
    return (yield* takeBack(facts, row)) ? yield* gather(service) : facts
  })

const bringOne = (work: Work) =>
  Effect.gen(function* () {
    const { byHand, component, row: stored } = work
    const registry = yield* Registry
    const now = yield* Clock.currentTimeMillis
    const told = (fate: Fate, why = "", nextStep = ""): BroughtBack => ({
      service: stored.service,
      component: component.name,
      ...{ fate, why, nextStep }
    })
    const facts = yield* factsOf(stored.service, component.name)
    const row = facts.rows.get(component.name)
    if (row?.desired !== "running") return told("stopped")
    const container = facts.current.get(component.name)
    const known = restartsOf(yield* registry.restarts, row)
    const due = dueOf(component.restart, container, known, now)
    if (container) yield* noteRest(row, container, known, due.act === "rest")
    if (due.act === "rest") return told("rests", `it has ended, and its restart policy is ${component.restart}`)
    if (due.act === "nothing") {
      return container?.state === "running" ? told("runs") : told("waits", `its container is ${container?.state}`)
    }
    if (due.act === "restart" && due.at > now && !byHand) {
      return told("waits", `it ended by itself, and is started again in ${Math.ceil((due.at - now) / 1000)} s`)
    }
    const brought = yield* bring(work, due, row, known)
    const waitedFor = stored.spec.components.some(({ dependsOn }) => dependsOn.includes(component.name))
    if (!byHand && !waitedFor) return told(brought.fate, brought.why)
    const isReady = yield* Effect.either(ready(work, brought.id))
    if (Either.isRight(isReady)) {
      return isReady.right ? told(brought.fate, brought.why) : told("unready", "it is started, and not ready yet")
    }
    return told("unready", isReady.left.message, explain(isReady.left).nextStep)
  }).pipe(
    Effect.catchAll((error: ProgramError) =>
      Effect.succeed<BroughtBack>({
        service: work.row.service,
        component: work.component.name,
        fate: "failed",
        why: error.message,
        nextStep: explain(error).nextStep
      })
    ),
    Effect.annotateLogs({ component: work.component.name })
  )

/** The files of what runs without them, for whoever starts it again by hand. What needs them to be started says why it has none. */
const filesAgain = (service: string) =>
  Effect.gen(function* () {
    const rows = yield* (yield* Registry).components(service)
    const reading = rows.filter(({ secrets }) => Object.keys(secrets).length > 0)
    if (reading.length === 0) return
    const { current } = yield* gather(service)
    for (const row of reading.filter(({ component }) => current.has(component))) {
      yield* Effect.catchAll(restoreSecrets(row), (error) =>
        Effect.logWarning("files of secrets are not written again").pipe(
          Effect.annotateLogs({ component: row.component, why: error.message })
        )
      )
    }
  })

/** To be run under the service's lock. */
const bringBackLocked = (service: string, how: BringingBack) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    yield* recover(service)
    const row = Option.getOrUndefined(yield* registry.service(service))
    if (row === undefined || row.undeploying) return []
    yield* filesAgain(service)
    const done: Array<BroughtBack> = []
    for (const stage of startOrder(row.spec.components)) {
      const components = row.spec.components.filter(({ name }) => stage.includes(name))
      const each = (component: ComponentSpec) => bringOne({ ...how, row, component })
      done.push(...(yield* Effect.forEach(components, each, { concurrency: "unbounded" })))
    }
    const fates = new Map(done.map(({ component, fate }) => [component, fate]))
    const serving = row.spec.components.filter(({ name }) =>
      ["runs", "started", "made", "unready"].includes(fates.get(name) ?? "")
    )
    yield* tidy(service)
    yield* routesTo(row, serving)
    return done
  })

/**
 * Brings back what should run by its desired state and its restart policy, and does not: after a crash, after a reboot,
 * and when podman has lost its containers. In the order of `depends_on`; what does not come up keeps nothing else down.
 * Answers what became of each component, and fails when there is nothing to say of them.
 */
export const bringBack = (service: string, how: BringingBack) =>
  Effect.gen(function* () {
    const locks = yield* ServiceLocks
    const wait = { automatic: !how.byHand, wait: true }
    return yield* locks.withLock(service, "a recovery", wait)(bringBackLocked(service, how))
  }).pipe(Effect.annotateLogs({ service }))
