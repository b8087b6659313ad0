import { Clock, Effect, Either } from "effect"
import type { RegistryUnavailable } from "../../services/RegistryError.ts"

/** A write waits some time for the database; a look at many components must not wait for each of them. */
const pauseMs = 1_000

/**
 * Writes what was seen, or leaves it where the registry cannot be written: a full disk is no reason to be silent, and
 * what still is so is written with a later look.
 */
export const bestEffort = () => {
  let failedAt: number | undefined
  return <R>(write: Effect.Effect<void, RegistryUnavailable, R>): Effect.Effect<void, never, R> =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      if (failedAt !== undefined && Math.abs(now - failedAt) < pauseMs) return
      const written = yield* Effect.either(write)
      failedAt = Either.isLeft(written) ? now : undefined
      if (Either.isRight(written)) return
      yield* Effect.logWarning("what was seen is not recorded; alerts of it are sent all the same").pipe(
        Effect.annotateLogs({ why: written.left.message })
      )
    })
}
export type BestEffort = ReturnType<typeof bestEffort>
