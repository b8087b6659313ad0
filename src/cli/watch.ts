import { Duration, Effect, Schedule, Schema, Stream } from "effect"
import { clearBelow, clearToEnd, enterScreen, home, leaveScreen, shorten } from "./ansi.ts"
import { Globals } from "./Globals.ts"
import { type Look, look } from "./output.ts"
import { Screen } from "./Screen.ts"
import { stamp } from "./time.ts"

const EVERY = Duration.seconds(2)

/** What is to be seen at one moment, for people and as JSON. */
export interface Picture<A> {
  readonly value: A
  readonly lines: (look: Look) => ReadonlyArray<string>
}

/** Time goes on without anything having changed. */
const withoutClocks = (value: unknown) =>
  JSON.stringify(value, (key, inner) => (key === "uptime_ms" ? undefined : inner))

/** In place and in one write, so that nothing flickers; never more than fits, or the terminal would scroll. */
const drawn = (title: string, text: ReadonlyArray<string>, rows: number, look: Look) => {
  const room = Math.max(1, rows - 2)
  const hidden = text.length - room
  const shown = hidden > 0 ? [...text.slice(0, room - 1), `… ${hidden + 1} more lines`] : text
  const lines = [look.paint("dim", shorten(title, look.width)), "", ...shown]
  return `${home}${lines.map((line) => `${line}${clearToEnd}`).join("\n")}${clearBelow}`
}

/** Looked at again and again. */
export const polled = <A, E, R>(picture: Effect.Effect<Picture<A>, E, R>) =>
  Stream.repeatEffectWithSchedule(picture, Schedule.spaced(EVERY))

/** Shows pictures as they come, until it is interrupted: on a terminal in place, in a pipe whenever something has changed. */
export const watch = <A, I, E, R>(
  title: string,
  schema: Schema.Schema<A, I>,
  pictures: Stream.Stream<Picture<A>, E, R>
) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const { json } = yield* Globals
    const inPlace = screen.outIsTty && !json
    const encode = Schema.encodeSync(schema)
    let last: string | undefined
    let begun = false

    const draw = (picture: Picture<A>) =>
      Effect.gen(function* () {
        const seen = yield* look
        const { rows } = yield* screen.size
        yield* screen.out(drawn(`${title}  ${stamp(seen.now)}  Ctrl-C ends`, picture.lines(seen), rows, seen))
      })
    const print = (picture: Picture<A>) =>
      Effect.gen(function* () {
        const encoded = encode(picture.value)
        if (withoutClocks(encoded) === last) return
        last = withoutClocks(encoded)
        const seen = yield* look
        yield* screen.out(
          json ? `${JSON.stringify(encoded)}\n` : `${[stamp(seen.now), ...picture.lines(seen), ""].join("\n")}\n`
        )
      })
    if (!inPlace) return yield* Stream.runForEach(pictures, print)
    // The first look may fail as that of any command does, and is then told on the screen that was there.
    const enter = Effect.suspend(() => {
      if (begun) return Effect.void
      begun = true
      return Effect.asVoid(Effect.acquireRelease(screen.out(enterScreen), () => screen.out(leaveScreen)))
    })
    // Clocks go on between one picture and the next.
    const ticking = Stream.flatMap(
      pictures,
      (picture) => Stream.repeatEffectWithSchedule(Effect.succeed(picture), Schedule.spaced(EVERY)),
      {
        switch: true
      }
    )
    yield* Stream.runForEach(ticking, (picture) => Effect.zipRight(enter, draw(picture)))
  }).pipe(Effect.scoped)
