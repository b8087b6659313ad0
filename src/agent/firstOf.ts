import { Effect, Option, Stream } from "effect"

/**
 * The first message of a call, undefined when there is none; the others, none of which is read that was not asked for;
 * and all of them, the first included.
 */
export const firstOf = <A, E, R>(requests: Stream.Stream<A, E, R>) =>
  Effect.gen(function* () {
    const pull = yield* Stream.toPull(requests.pipe(Stream.rechunk(1)))
    const first = yield* pull.pipe(
      Effect.map((chunk) => Option.getOrUndefined(Option.fromIterable(chunk))),
      Effect.catchAll(Option.match({ onNone: () => Effect.succeed(undefined), onSome: (error) => Effect.fail(error) }))
    )
    const rest = Stream.fromPull(Effect.succeed(pull))
    return { first, rest, all: first === undefined ? rest : Stream.concat(Stream.succeed(first), rest) }
  })
