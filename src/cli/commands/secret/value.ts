import { FileSystem } from "@effect/platform"
import { Chunk, Effect, Option, Redacted, Stream } from "effect"
import { longestSecret } from "../../../domain/Secret.ts"
import { UsageError } from "../../../services/CliError.ts"
import { quoted } from "../../errors.ts"
import { note } from "../../output.ts"
import { Screen } from "../../Screen.ts"
import { Stdio } from "../../Stdio.ts"

/** Of a terminal, where a slip of the finger would not be seen. */
const typed = (service: string, secret: string) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const value = yield* screen.ask(`Value of ${secret} of ${service}: `, { hidden: true })
    if (value === "") return yield* new UsageError({ problem: "the value is empty" })
    const again = yield* screen.ask("Once more: ", { hidden: true })
    if (value !== again) return yield* new UsageError({ problem: "the two are not the same; nothing is set" })
    return Buffer.from(value)
  })

const tooLong = new UsageError({ problem: `the value is longer than ${longestSecret} bytes` })

/** No more of it than a value may have: a device has no end. */
const bounded = <E, R>(input: Stream.Stream<Uint8Array, E, R>) =>
  Effect.gen(function* () {
    let length = 0
    const chunks = yield* input.pipe(
      Stream.takeWhile((bytes) => {
        length += bytes.length
        return length <= longestSecret
      }),
      Stream.runCollect
    )
    return length > longestSecret ? yield* tooLong : Buffer.concat(Chunk.toReadonlyArray(chunks))
  })

const piped = Effect.flatMap(Stdio, ({ input }) => bounded(input))

const fromFile = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => bounded(fs.stream(file))).pipe(
    Effect.catchTags({
      BadArgument: () => unreadable(file),
      SystemError: () => unreadable(file)
    })
  )

const unreadable = (file: string) =>
  new UsageError({ problem: `the file ${file} cannot be read`, nextStep: `check it: ls -l ${quoted(file)}` })

const lastNewline = /\r?\n$/

interface From {
  readonly service: string
  readonly secret: string
  readonly file: Option.Option<string>
  readonly trim: boolean
}

/** The value as it is, byte for byte; only `--trim` takes a newline at its end away. */
export const valueFrom = ({ file, secret, service, trim }: From) =>
  Effect.gen(function* () {
    const stdio = yield* Stdio
    const screen = yield* Screen
    const path = Option.getOrUndefined(file)
    const asks = path === undefined && stdio.inIsTty
    if (asks && !screen.canAsk) {
      return yield* new UsageError({
        problem: "no terminal to ask for the value",
        nextStep: `mcp secret set ${service} ${secret} --file FILE`
      })
    }
    const bytes = asks
      ? yield* typed(service, secret)
      : path === undefined || path === "-"
        ? yield* piped
        : yield* fromFile(path)
    const end = lastNewline.exec(bytes.subarray(-2).toString("latin1"))?.[0].length ?? 0
    const value = trim ? bytes.subarray(0, bytes.length - end) : bytes
    if (value.length === 0) return yield* new UsageError({ problem: "the value is empty" })
    if (value.length > longestSecret) return yield* tooLong
    if (end > 0 && !trim) yield* note("note: the value ends with a newline, which is part of it; --trim leaves it out")
    return Redacted.make<Uint8Array>(value)
  })
