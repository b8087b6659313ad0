import { Deferred, Effect, Either, Option, Ref } from "effect"
import type { BootStage } from "../domain/AgentConfig.ts"
import { Registry } from "../services/Registry.ts"
import { bringBack } from "./bringBack.ts"
import { undeploy } from "./lifecycle.ts"
import { untilItAnswers } from "./progress.ts"
import { recover } from "./recover.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { notUp } from "./stageHealth.ts"

/** The services that a crash may have left half done: those with rows, and those whose first deployment did not end. */
export const unsettled = Effect.gen(function* () {
  const registry = yield* Registry
  const stored = yield* registry.services
  const unfinished = yield* registry.unfinishedDeployments
  const unswept = yield* registry.unswept
  const restores = yield* registry.restores
  return [...new Set([...[...stored, ...unfinished, ...restores].map((row) => row.service), ...unswept])]
})

/** Brings one service to where its rows say it is: a deployment or a restore goes back, an undeploy goes on. */
export const settle = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const locks = yield* ServiceLocks
    const row = (yield* registry.services).find((each) => each.service === service)
    if (row?.undeploying) return yield* Effect.asVoid(undeploy(service))
    yield* locks.withLock(service, "a recovery")(recover(service))
  })

/** What cannot be done at once, since a proxy or an image registry is away, goes on beside the boot after that. */
const patience = "60 seconds"
/** While the agent boots nobody else starts again what ends: it is looked at this often. */
const lookEvery = "2 seconds"
const askEvery = "500 millis"
const longestPauseMs = 60_000
/** Longer than that a service does not wait for one of its components before it starts the next. */
const readyWithin = "60 seconds"

const byItself = { byHand: false, readyWithin, actor: "" } as const

const firstOf = <A>(of: Iterable<Effect.Effect<A>>) =>
  Effect.timeoutOption(Effect.all(of, { concurrency: "unbounded", discard: true }), patience)

/** Deployments, undeploys and restores that the last agent did not end, side by side. */
const settleAll = (services: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const firsts = yield* Effect.forEach(services, (service) =>
      Effect.gen(function* () {
        const tried = yield* Deferred.make<void>()
        const settling = settle(service).pipe(
          Effect.tapError((error) =>
            Effect.logWarning("what a crash left is not cleared yet and will be tried again").pipe(
              Effect.annotateLogs({ service, why: error.message })
            )
          ),
          Effect.ensuring(Deferred.succeed(tried, undefined)),
          Effect.retry(untilItAnswers)
        )
        yield* Effect.forkScoped(Effect.ignoreLogged(settling))
        return Deferred.await(tried)
      })
    )
    yield* firstOf(firsts)
  })

/** One attempt; answers what went wrong. */
const attempt = (service: string) =>
  Effect.gen(function* () {
    const done = yield* Effect.either(bringBack(service, byItself))
    if (Either.isLeft(done)) return done.left.message
    const failed = done.right.filter(({ fate }) => fate === "failed")
    return failed.length === 0 ? undefined : failed.map(({ component, why }) => `${component}: ${why}`).join("; ")
  })

/** Brings a service back, again and again until it is and `over` says that others look after it from now on. */
const keepBack = (service: string, tried: Deferred.Deferred<void>, over: Effect.Effect<boolean>) =>
  Effect.gen(function* () {
    let pauseMs = 1_000
    let said = ""
    for (;;) {
      const wrong = yield* attempt(service)
      yield* Deferred.succeed(tried, undefined)
      if (wrong === undefined && (yield* over)) return
      if (wrong !== undefined && wrong !== said) {
        yield* Effect.logWarning("a service is not back yet and will be tried again").pipe(
          Effect.annotateLogs({ why: wrong })
        )
      }
      said = wrong ?? ""
      yield* Effect.sleep(wrong === undefined ? lookEvery : pauseMs)
      pauseMs = wrong === undefined ? 1_000 : Math.min(longestPauseMs, pauseMs * 2)
    }
  }).pipe(
    Effect.catchAllCause((cause) => Effect.logError("a service is not brought back", cause)),
    Effect.annotateLogs({ service })
  )

const bringAll = (services: Iterable<string>, over: Effect.Effect<boolean>) =>
  Effect.forEach(services, (service) =>
    Effect.gen(function* () {
      const tried = yield* Deferred.make<void>()
      yield* Effect.forkScoped(keepBack(service, tried, over))
      return Deferred.await(tried)
    })
  )

/** Why a stage is not up; none when it is. */
const stageNotUp = (services: ReadonlyArray<string>, health: BootStage["health"]) =>
  Effect.gen(function* () {
    for (const service of services) {
      const wrong = yield* Effect.catchAll(notUp(service, health), (error) => Effect.succeedSome(error.message))
      if (Option.isSome(wrong)) return wrong
    }
    return Option.none<string>()
  })

/** Waits until all services of a stage are up; the first stage for ever, a later one until its timeout. */
const awaitStage = (
  { health, timeout }: BootStage,
  services: ReadonlyArray<string>,
  booting: Booting,
  first: boolean
) =>
  Effect.gen(function* () {
    const last = yield* Ref.make("not known yet")
    const up = Effect.gen(function* () {
      for (;;) {
        const wrong = yield* stageNotUp(services, health)
        if (Option.isNone(wrong)) return
        yield* Ref.set(last, wrong.value)
        yield* Effect.sleep(askEvery)
      }
    })
    for (;;) {
      if (Option.isSome(yield* Effect.timeoutOption(up, timeout))) return yield* Effect.logInfo("a boot stage is up")
      const what = first ? "a boot stage is not up; it is waited for" : "a boot stage is not up; the boot goes on"
      const annotations = { why: yield* Ref.get(last), break_glass: booting.breakGlass }
      yield* Effect.annotateLogs(Effect.logWarning(what), annotations)
      if (!first) return
    }
  })

export interface Booting {
  readonly stages: ReadonlyArray<BootStage>
  /** What root on the node may run when nobody can log in, for the log. */
  readonly breakGlass: string
}

/**
 * What happens between listening and serving: deployments that a crash left, then what should run and does not, in the
 * order of the stages, and what is in no stage after them. What fails holds up nothing but the first stage, and is tried
 * again as long as the scope lasts.
 */
export const boot = (booting: Booting) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { breakGlass, stages } = booting
    yield* Effect.logInfo("booting").pipe(
      Effect.annotateLogs({ stages: stages.map(({ name }) => name).join(", "), break_glass: breakGlass })
    )
    // Until the registry can be read nothing is known.
    yield* settleAll(yield* Effect.retry(unsettled, untilItAnswers))
    const stored = new Set((yield* Effect.retry(registry.services, untilItAnswers)).map(({ service }) => service))
    const booted = yield* Ref.make(false)
    const seen = new Set<string>()
    for (const [i, stage] of stages.entries()) {
      yield* Effect.gen(function* () {
        const unknown = stage.services.filter((service) => !stored.has(service))
        if (unknown.length > 0) {
          yield* Effect.logWarning("a boot stage names services that are not deployed here").pipe(
            Effect.annotateLogs({ services: unknown.join(", ") })
          )
        }
        const known = stage.services.filter((service) => stored.has(service))
        yield* bringAll(
          known.filter((service) => !seen.has(service)),
          Ref.get(booted)
        )
        for (const service of known) seen.add(service)
        yield* awaitStage(stage, known, booting, i === 0)
      }).pipe(Effect.annotateLogs({ stage: stage.name }))
    }
    const rest = [...stored].filter((service) => !seen.has(service))
    yield* firstOf(yield* bringAll(rest, Effect.succeed(true)))
    yield* Ref.set(booted, true)
  })
