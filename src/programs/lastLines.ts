import { Chunk, Effect, Stream } from "effect"
import { ContainerRuntime, type LogLine } from "../services/ContainerRuntime.ts"

/** Log lines of a failed container that the operator is shown. */
const shownLines = 20
/** Longer than a program takes for the pieces of one line. */
const piecesWithinMs = 2_000

const isMute = (lines: ReadonlyArray<LogLine>) => lines.every(({ line }) => line.trim() === "")

const read = (container: string, options: { readonly tail?: number; readonly since?: number }) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const { since, tail } = options
    const lines = runtime.logs(container, { follow: false, tail, since })
    return Chunk.toReadonlyArray(yield* Stream.runCollect(Stream.takeRight(lines, shownLines)))
  })

/**
 * podman's own tail loses all but the last piece of a line that was written in pieces (4.3, measured), so it only says from
 * when on to read.
 */
const whole = (container: string) =>
  Effect.gen(function* () {
    const tail = yield* read(container, { tail: shownLines })
    const from = tail[0]?.at
    if (from === undefined) return tail
    return yield* read(container, { since: Math.max(0, from - piecesWithinMs) }).pipe(
      Effect.timeout("2 seconds"),
      Effect.orElseSucceed(() => tail)
    )
  })

/** The last lines of a container; none when they cannot be read, since that must not hide the failure itself. */
export const lastLines = (container: string) =>
  whole(container).pipe(
    Effect.timeout("5 seconds"),
    Effect.orElseSucceed((): ReadonlyArray<LogLine> => [])
  )

/** As `lastLines`, of one that has ended just now: what it wrote last may come a moment after. */
export const linesOfEnded = (
  container: string,
  times = 3
): Effect.Effect<ReadonlyArray<LogLine>, never, ContainerRuntime> =>
  Effect.flatMap(lastLines(container), (lines) =>
    isMute(lines) && times > 0 ? Effect.delay(linesOfEnded(container, times - 1), "100 millis") : Effect.succeed(lines)
  )
