import { Clock, Effect, Schedule } from "effect"
import type { Emit } from "./DeployEvent.ts"

/** Tells that a step runs, and how it ended. */
export const step =
  (emit: Emit, component: string, name: string) =>
  <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function* () {
      const startedAt = yield* Clock.currentTimeMillis
      const tell = (state: "running" | "done" | "failed", message: string) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          emit({ _tag: "Step", component, step: name, state, message, durationMs: now - startedAt })
        )
      yield* tell("running", "")
      return yield* effect.pipe(
        Effect.tap(() => tell("done", "")),
        Effect.tapError((error) => tell("failed", error.message))
      )
    })

/** Once begun, going back or forward has to end: it is tried again for as long as something is away. */
export const untilItAnswers = Schedule.exponential("250 millis").pipe(Schedule.union(Schedule.spaced("10 seconds")))

/** Errors that pass by themselves, or once somebody has seen to the node. */
export const isAway = (error: { readonly _tag: string }): boolean =>
  error._tag === "RuntimeUnavailable" || error._tag === "RegistryUnavailable" || error._tag === "ProxyUnavailable"
