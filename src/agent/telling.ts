import { Cause, Effect, Exit, Option, Queue, Stream } from "effect"
import type { ProgramError } from "../programs/explain.ts"
import { Background } from "./Background.ts"

/** Runs on its own and tells of itself: a caller who goes away only stops listening. */
export const telling = <A, R>(
  work: (tell: (event: A) => Effect.Effect<void>) => Effect.Effect<unknown, ProgramError, R>
) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const events = yield* Queue.unbounded<Exit.Exit<A, Option.Option<ProgramError>>>()
      const background = yield* Background
      yield* background.run(
        work((event) => Effect.asVoid(events.offer(Exit.succeed(event)))).pipe(
          Effect.matchCauseEffect({
            onSuccess: () => events.offer(Exit.fail(Option.none())),
            onFailure: (cause) =>
              events.offer(Exit.failCause(Cause.map(cause, (error) => Option.some<ProgramError>(error))))
          }),
          Effect.asVoid
        )
      )
      return Stream.fromQueue(events).pipe(Stream.flattenExitOption)
    })
  )
