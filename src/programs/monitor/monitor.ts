import { Clock, Effect, Layer, Option, Queue, Ref, type Scope, Stream } from "effect"
import type { AlertSettings } from "../../domain/Alerting.ts"
import { targetOf } from "../../domain/Names.ts"
import type { Container } from "../../services/ContainerRuntime.ts"
import { Monitor } from "../../services/Monitor.ts"
import { NodeInfo } from "../../services/NodeInfo.ts"
import { type ComponentRow, Registry } from "../../services/Registry.ts"
import { ContainerHealth } from "../ContainerHealth.ts"
import { serviceOf } from "../follow.ts"
import { knownNow, type Live, liveOf, record, underWay } from "../observe.ts"
import { untilItAnswers } from "../progress.ts"
import { type News, RuntimeFeed } from "../RuntimeFeed.ts"
import { ServiceLocks } from "../ServiceLocks.ts"
import { describe, postAlerts } from "./alerts.ts"
import { bestEffort } from "./bestEffort.ts"
import { judging, makeDrifts } from "./drifts.ts"
import { makeHealer } from "./heal.ts"
import { type Tell, watchRuntime } from "./runtimeWatch.ts"
import { makeSilences } from "./silences.ts"

export interface MonitorSettings extends AlertSettings {
  /** Also undo drift that no restart policy covers. */
  readonly heal: boolean
}

type Drifts = ReturnType<typeof makeDrifts>
type Silences = Effect.Effect.Success<typeof makeSilences>

const watching = (
  settings: MonitorSettings,
  { flaps, states }: Drifts,
  silences: Silences,
  scanBy: Ref.Ref<Monitor["Type"]["scan"]>
) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { node } = yield* NodeInfo
    const { silencedUntil } = silences
    const feed = yield* RuntimeFeed
    const locks = yield* ServiceLocks
    const health = yield* ContainerHealth
    const post = yield* postAlerts
    // Before anything is read: what changes meanwhile is looked at again.
    const news = yield* feed.follow
    const rememberTold = Effect.map(registry.watched, (rows) => {
      for (const { component, service, state } of rows) states.set(targetOf(service, component), state)
    })
    yield* Effect.orDie(Effect.retry(Effect.zipRight(silences.load, rememberTold), untilItAnswers))

    const write = bestEffort()
    const tell: Tell = (kind, about) =>
      Effect.gen(function* () {
        const at = yield* Clock.currentTimeMillis
        const { component, message, service } = about
        const event = { service, component, kind: "alert", from: "", to: kind, message, actor: "" } as const
        yield* write(registry.recordEvent(event))
        yield* post({ node, kind, at, ...about })
      })

    const wanted = yield* Queue.unbounded<string>()
    const lookLater = (service: string) => Effect.asVoid(wanted.offer(service))
    const healer = yield* makeHealer(settings, lookLater)
    const drifts = yield* judging(states, settings, silencedUntil, tell, lookLater, write)

    /** One that is not known is gone only when a list says so: it may have been made after the last one. */
    const listed = (rows: ReadonlyArray<ComponentRow>) =>
      Effect.gen(function* () {
        const containers = yield* feed.containers
        const isNews = ({ containerId, observed }: ComponentRow) =>
          containerId !== undefined && observed !== "removed" && !containers.has(containerId)
        if (!rows.some(isNews)) return containers
        yield* feed.list
        return yield* feed.containers
      })

    /** Looks at the components of one service, or of all, that no act is changing now. */
    const observe = (only: string | undefined) =>
      Effect.gen(function* () {
        // Nobody can say how they are.
        if (Option.isSome(yield* feed.away)) return
        const rows = yield* registry.components(only)
        const known = yield* knownNow({ flaps, silencedUntil })
        const moving = yield* underWay
        const still = yield* Effect.filter(rows, ({ containerId = "", service }) =>
          moving.has(service) ? Effect.succeed(false) : locks.lets(service, containerId)
        )
        const containers = yield* listed(still)
        const seen = still.map((row) => liveOf(row, known, containers.get(row.containerId ?? ""), true))
        yield* write(record(still, seen))
        for (const one of seen) {
          const flapping = yield* drifts.judge(one)
          if (yield* healer.givesUp(one, flapping)) yield* giveUp(one)
          yield* healer.consider(one)
        }
        yield* drifts.keep(only, new Set(rows.map(({ component, service }) => targetOf(service, component))))
      })
    const giveUp = (one: Live) => {
      const { component, desired, observed, service } = one
      return tell("gave_up", { service, component, from: desired, to: observed, message: describe("gave_up", one) })
    }

    const observeOwner = (container: Container) =>
      Effect.gen(function* () {
        const service = yield* serviceOf(container)
        if (service !== undefined) yield* observe(service)
      })

    const runtime = yield* watchRuntime(tell, settings.cooldown, write)

    const hear = (one: News) =>
      Effect.gen(function* () {
        switch (one._tag) {
          case "Scanned":
            yield* runtime.answers
            return yield* observe(undefined)
          case "Away":
            return yield* runtime.isAway(one.why)
          case "Released":
            if (!one.automatic) {
              healer.reset(one.service)
              drifts.beginAnew(one.service)
            }
            return yield* observe(one.service)
          case "Changed":
            return yield* observeOwner(one.container)
        }
      })
    const probed = (container: string) =>
      Effect.gen(function* () {
        const known = (yield* feed.containers).get(container)
        if (known !== undefined) yield* observeOwner(known)
      })

    // One thing after another: two looks at one component must not tell the same thing twice.
    const turn = Effect.unsafeMakeSemaphore(1)
    const bounded = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.catchAllCause(turn.withPermits(1)(effect), (cause) =>
        Effect.logWarning("what was seen is not recorded; it is looked at again with the next scan", cause)
      )
    const all = turn.withPermits(1)(observe(undefined))
    const context = yield* Effect.context<Effect.Effect.Context<typeof all>>()
    yield* Ref.set(scanBy, Effect.zipRight(feed.list, Effect.provide(all, context)))
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(news), (one) => bounded(hear(one)))))
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(wanted), (one) => bounded(observe(one)))))
    yield* Effect.forkScoped(Stream.runForEach(health.changes, (container) => bounded(probed(container))))
    yield* Effect.forkScoped(Stream.runForEach(silences.changed, (service) => bounded(observe(service))))
  })

const make = (settings: MonitorSettings) =>
  Effect.gen(function* () {
    const drifts = makeDrifts()
    const silences = yield* makeSilences
    const scanBy = yield* Ref.make<Monitor["Type"]["scan"]>(Effect.void)
    const watch = watching(settings, drifts, silences, scanBy)
    const context = yield* Effect.context<Exclude<Effect.Effect.Context<typeof watch>, Scope.Scope>>()
    return Monitor.of({
      watch: Effect.provide(watch, context),
      scan: Effect.flatten(Ref.get(scanBy)),
      flaps: drifts.flaps,
      silencedUntil: silences.silencedUntil,
      silence: silences.silence
    })
  })

/** Watches nothing until it is told to. */
export const layer = (settings: MonitorSettings) => Layer.effect(Monitor, make(settings))
