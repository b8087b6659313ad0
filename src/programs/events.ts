import { Clock, Duration, Effect, Schedule } from "effect"
import { Registry } from "../services/Registry.ts"

/** Forgets events that are older than this, now and each hour. */
export const forgetEvents = (retention: Duration.DurationInput) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* (yield* Registry).pruneEvents(now - Duration.toMillis(retention))
  }).pipe(
    Effect.catchAll((error) =>
      Effect.logWarning("old events are forgotten later").pipe(Effect.annotateLogs({ why: error.message }))
    ),
    Effect.repeat(Schedule.spaced("1 hour"))
  )
