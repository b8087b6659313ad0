import { Options } from "@effect/cli"
import { Cause, Clock, Effect, Option, Exit as Outcome, Schedule, Stream } from "effect"
import { type FileEntry, type FileParts, RESUMABLE_BYTES } from "../domain/FileParts.ts"
import { shown } from "../domain/FilePath.ts"
import { ExitWith, UsageError } from "../services/CliError.ts"
import { clearLine, shorten } from "./ansi.ts"
import { bytes } from "./bytes.ts"
import { Exit } from "./errors.ts"
import { Globals } from "./Globals.ts"
import { isRefusal, isRpcError, isSilence } from "./nodes.ts"
import { note, warn } from "./output.ts"
import { Screen } from "./Screen.ts"
import { took, uptime } from "./time.ts"

/* What push and pull have in common. */

export const recursive = Options.boolean("recursive").pipe(Options.withAlias("r"))

export const options = {
  tree: recursive.pipe(Options.withDescription("a folder with all that lies in it")),
  mode: Options.text("mode").pipe(
    Options.optional,
    Options.withPseudoName("OCTAL"),
    Options.withDescription("permissions of the files, such as 0640")
  ),
  resume: Options.boolean("resume").pipe(Options.withDescription("go on with a large file where it was cut"))
}

export const modeOf = (mode: Option.Option<string>) =>
  Effect.gen(function* () {
    const text = Option.getOrUndefined(mode)
    if (text === undefined) return undefined
    if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8)
    return yield* new UsageError({ problem: `--mode ${text}: expected permissions in octal, such as 0640` })
  })

/** A path as its bytes: the words of a command line are text. */
export const pathBytes = (path: string): Uint8Array => Buffer.from(path)

interface Seen {
  readonly start: number
  files: number
  bytes: number
  total: { readonly files: number; readonly bytes: number }
  resumed: number
  current: FileEntry | undefined
  readonly skipped: Array<{ readonly path: string; readonly reason: string }>
}

const count = (seen: Seen, parts: FileParts) => {
  for (const part of parts) {
    if (part._tag === "Data") seen.bytes += part.bytes.length
    else if (part._tag === "Total") seen.total = part
    else if (part._tag === "Skipped") seen.skipped.push({ path: shown(part.path), reason: part.why })
    else if (part._tag === "Entry") {
      seen.current = part.entry
      seen.resumed += part.entry.offset
    }
    if (part._tag === "End" || (part._tag === "Entry" && part.entry.kind === "link")) seen.files += 1
  }
}

/** One line: how much of how much, how fast, how long still. */
export const progressLine = (seen: Omit<Seen, "skipped">, now: number): string => {
  const elapsed = Math.max(1, now - seen.start)
  const rate = (seen.bytes / elapsed) * 1000
  const done = seen.bytes + seen.resumed
  const whole = Math.max(seen.total.bytes, done)
  const left = rate === 0 ? undefined : ((whole - done) / rate) * 1000
  return [
    `${bytes(done)} of ${bytes(whole)}`,
    `${whole === 0 ? 100 : Math.floor((done / whole) * 100)}%`,
    `${bytes(rate)}/s`,
    left === undefined ? "" : `${uptime(left)} left`,
    seen.total.files > 1 ? `${seen.files} of ${seen.total.files} files` : "",
    seen.current === undefined ? "" : shown(seen.current.path)
  ]
    .filter((part) => part !== "")
    .join("  ")
}

/** Cut by the operator or the line, and there is something that `--resume` goes on with. */
const canGoOn = ({ bytes, current }: Seen, outcome: Outcome.Exit<unknown, unknown>) =>
  Outcome.isFailure(outcome) &&
  (Cause.isInterrupted(outcome.cause) ||
    Option.exists(
      Cause.failureOption(outcome.cause),
      (error) => isRpcError(error) && isSilence(error) && !isRefusal(error)
    )) &&
  bytes > 0 &&
  current?.kind === "file" &&
  current.path.length === 0 &&
  current.size >= RESUMABLE_BYTES

const EVERY_MS = 200

/** On a terminal, one line that is drawn over and over as long as the scope lasts. */
export const drawing = (line: (now: number) => string) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const { quiet } = yield* Globals
    if (!screen.errIsTty || quiet) return
    const draw = Effect.gen(function* () {
      const { columns } = yield* screen.size
      const text = line(yield* Clock.currentTimeMillis)
      yield* screen.err(`\r${clearLine}${shorten(text, Math.max(10, columns - 1))}`)
    })
    yield* Effect.addFinalizer(() => screen.err(`\r${clearLine}`))
    yield* Effect.forkScoped(Effect.repeat(Effect.delay(draw, EVERY_MS), Schedule.forever))
  })

type Counted = Omit<Seen, "skipped">

const nothingYet = (start: number, bytes = 0) => ({
  start,
  files: 0,
  bytes: 0,
  total: { files: 0, bytes },
  resumed: 0,
  current: undefined
})

/** Counts what goes by, and on a terminal shows it. */
export const watched = Effect.gen(function* () {
  const seen: Seen = { ...nothingYet(yield* Clock.currentTimeMillis), skipped: [] }
  yield* Effect.addFinalizer((outcome) =>
    canGoOn(seen, outcome)
      ? note("the file is kept as far as it came: the same with --resume goes on from there")
      : Effect.void
  )
  yield* drawing((now) => progressLine(seen, now))
  return {
    seen,
    through: <E, R>(parts: Stream.Stream<FileParts, E, R>) =>
      Stream.tap(parts, (some) => Effect.sync(() => count(seen, some)))
  }
})

/** As `watched`, for bytes of which the number is known. */
export const showingBytes = (total: number) =>
  Effect.gen(function* () {
    const seen: Counted = nothingYet(yield* Clock.currentTimeMillis, total)
    yield* drawing((now) => progressLine(seen, now))
    return <E, R>(pieces: Stream.Stream<Uint8Array, E, R>) =>
      Stream.tap(pieces, (bytes) =>
        Effect.sync(() => {
          seen.bytes += bytes.length
        })
      )
  })

export const summary = (moved: { files: number; bytes: number; resumed_bytes: number; took_ms: number }) =>
  `${moved.files} file${moved.files === 1 ? "" : "s"}, ${bytes(moved.bytes)} in ${took(moved.took_ms)}${
    moved.resumed_bytes === 0 ? "" : `, ${bytes(moved.resumed_bytes)} of it from before`
  }`

/** Not all was done when something was left out, and each is named. */
export const conclude = (skipped: Seen["skipped"]) =>
  Effect.gen(function* () {
    yield* Effect.forEach(skipped, ({ path, reason }) => warn(`left out: ${path}: ${reason}`), { discard: true })
    if (skipped.length > 0) yield* new ExitWith({ exitCode: Exit.failed })
  })
