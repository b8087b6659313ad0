import { Effect, Schema } from "effect"
import { type Paint, painter } from "./ansi.ts"
import { Globals } from "./Globals.ts"
import { Screen } from "./Screen.ts"

/** How text for people is laid out: colours and width only on a terminal. */
export interface Look {
  readonly paint: Paint
  readonly width: number
  readonly now: Date
}

const WIDE = Number.MAX_SAFE_INTEGER

export const look = Effect.gen(function* () {
  const screen = yield* Screen
  const { colour } = yield* Globals
  const { columns } = yield* screen.size
  const now = new Date(yield* Effect.clockWith((clock) => clock.currentTimeMillis))
  return { paint: painter(colour && screen.outIsTty), width: screen.outIsTty ? columns : WIDE, now } satisfies Look
})

export const errPaint = Effect.gen(function* () {
  const screen = yield* Screen
  const { colour } = yield* Globals
  return painter(colour && screen.errIsTty)
})

const lines = (text: ReadonlyArray<string>) => text.map((line) => `${line}\n`).join("")

/** The command's answer: one JSON document, or lines for people. */
export const answer = <A, I>(schema: Schema.Schema<A, I>, value: A, human: (look: Look) => ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const { json } = yield* Globals
    if (json) return yield* screen.out(`${JSON.stringify(Schema.encodeSync(schema)(value), null, 2)}\n`)
    yield* screen.out(lines(human(yield* look)))
  })

/** One of a stream's objects, on a line of its own. */
export const jsonLine = <A, I>(schema: Schema.Schema<A, I>, value: A): string =>
  `${JSON.stringify(Schema.encodeSync(schema)(value))}\n`

/** As `answer`, for what only confirms: `--quiet` leaves it out. */
export const confirm = <A, I>(schema: Schema.Schema<A, I>, value: A, human: (look: Look) => ReadonlyArray<string>) =>
  Effect.flatMap(Globals, ({ json, quiet }) => (quiet && !json ? Effect.void : answer(schema, value, human)))

/** For people, beside the answer. */
export const note = (...text: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    if (!(yield* Globals).quiet) yield* (yield* Screen).err(lines(text))
  })

export const warn = (text: string) =>
  Effect.gen(function* () {
    const paint = yield* errPaint
    yield* (yield* Screen).err(`${paint("yellow", "warning:")} ${text}\n`)
  })
