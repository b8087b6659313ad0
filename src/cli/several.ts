import { Data, Effect, Either } from "effect"
import type { CliFailure } from "./errors.ts"

/** More than one thing failed; each is reported. */
export class Several extends Data.TaggedError("Several")<{
  readonly failures: readonly [CliFailure, CliFailure, ...Array<CliFailure>]
}> {}

/** Fails with all of them; succeeds when there are none. */
export const failAll = <E extends CliFailure>(failures: ReadonlyArray<E>): Effect.Effect<void, E | Several> => {
  const [first, second, ...rest] = failures
  if (first === undefined) return Effect.void
  return second === undefined ? Effect.fail(first) : Effect.fail(new Several({ failures: [first, second, ...rest] }))
}

/** Does something for each, side by side; one that fails stops none of the others. */
export const each = <A, B, E, R>(items: ReadonlyArray<A>, use: (item: A) => Effect.Effect<B, E, R>) =>
  Effect.map(
    Effect.forEach(items, (item) => Effect.either(use(item)), { concurrency: "unbounded" }),
    (results) => ({
      done: results.flatMap((r) => (Either.isRight(r) ? [r.right] : [])),
      failures: results.flatMap((r) => (Either.isLeft(r) ? [r.left] : []))
    })
  )
