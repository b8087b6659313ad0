import { Cause, Deferred, Effect, Exit, Option, Queue, Ref, Stream } from "effect"
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

/** As `telling`, but until `begin` is asked it ends with its caller. */
export const tellingOnceBegun = <A, R>(
  work: (tell: (event: A) => Effect.Effect<void>, begin: Effect.Effect<void>) => Effect.Effect<unknown, ProgramError, R>
) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const left = yield* Deferred.make<void>()
      const state = yield* Ref.make<"waiting" | "begun" | "left">("waiting")
      const begin = Effect.flatten(
        Ref.modify(state, (now) =>
          now === "left" ? ([Effect.interrupt, now] as const) : ([Effect.void, "begun"] as const)
        )
      )
      const leave = Effect.flatten(
        Ref.modify(state, (now) =>
          now === "begun" ? ([Effect.void, now] as const) : ([Deferred.succeed(left, undefined), "left"] as const)
        )
      )
      yield* Effect.addFinalizer(() => leave)
      return telling<A, R>((tell) => Effect.raceFirst(work(tell, begin), Deferred.await(left)))
    })
  )

/** Few events wait for a caller who reads slowly: they may be pieces of a file. */
const waitingEvents = 4

/** Ends with its caller; what it tells waits until it is read. */
export const whileListening = <A, R>(
  work: (tell: (event: A) => Effect.Effect<void>) => Effect.Effect<unknown, ProgramError, R>
) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const events = yield* Queue.bounded<Exit.Exit<A, Option.Option<ProgramError>>>(waitingEvents)
      yield* work((event) => Effect.asVoid(events.offer(Exit.succeed(event)))).pipe(
        Effect.exit,
        Effect.flatMap(
          Exit.match({
            onSuccess: () => events.offer(Exit.fail(Option.none())),
            onFailure: (cause) =>
              events.offer(Exit.failCause(Cause.map(cause, (error) => Option.some<ProgramError>(error))))
          })
        ),
        Effect.forkScoped
      )
      return Stream.fromQueue(events).pipe(Stream.flattenExitOption)
    })
  )
