import { Effect, Option, Stream } from "effect"

/** The first message of a call, and the others as a stream; none is read that was not asked for. */
export const firstRequest = <A, E>(requests: Stream.Stream<A, E>) =>
  Effect.gen(function* () {
    const pull = yield* Stream.toPull(requests.pipe(Stream.rechunk(1)))
    const first = yield* pull.pipe(
      Effect.map((chunk) => Option.fromIterable(chunk)),
      Effect.catchAll(Option.match({ onNone: () => Effect.succeedNone, onSome: (error) => Effect.fail(error) }))
    )
    return { first, rest: Stream.fromPull(Effect.succeed(pull)) }
  })
