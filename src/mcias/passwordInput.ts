import { readFileSync } from "node:fs"
import { Prompt } from "@effect/cli"
import { Effect, Option, Redacted } from "effect"
import { FileUnusable, PasswordPromptLeft, PasswordRefused, reasonOf, WrongUsage } from "./Failure.ts"

const MAX_BYTES = 8 * 1024

// An editor's or echo's line end is not part of the password.
const fromText = (text: string) => Redacted.make(text.replace(/\r?\n$/, ""))

const fromFile = (file: string) =>
  Effect.try({
    try: () => readFileSync(file),
    catch: (error) => new FileUnusable({ file, why: reasonOf(error) })
  }).pipe(
    Effect.filterOrFail(
      (bytes) => bytes.length <= MAX_BYTES,
      () => new FileUnusable({ file, why: `it is larger than ${MAX_BYTES} bytes` })
    ),
    Effect.map((bytes) => fromText(bytes.toString("utf8")))
  )

const fromStdin = Effect.tryPromise({
  try: async () => {
    const chunks: Array<Buffer> = []
    let size = 0
    for await (const chunk of process.stdin) {
      const bytes = Buffer.from(chunk)
      size += bytes.length
      if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`)
      chunks.push(bytes)
    }
    return fromText(Buffer.concat(chunks).toString("utf8"))
  },
  catch: (error) => new FileUnusable({ file: "standard input", why: reasonOf(error) })
})

const fromPrompt = Effect.gen(function* () {
  const password = yield* Prompt.hidden({ message: "Password" })
  const again = yield* Prompt.hidden({ message: "Again" })
  if (Redacted.value(password) === Redacted.value(again)) return password
  return yield* new PasswordRefused({ why: "the two inputs differ" })
}).pipe(Effect.catchTag("QuitException", () => new PasswordPromptLeft()))

/** From the one place that was named, or from the terminal. */
export const read = (options: { readonly file: Option.Option<string>; readonly stdin: boolean }) =>
  Effect.gen(function* () {
    if (Option.isSome(options.file)) {
      if (options.stdin)
        return yield* new WrongUsage({ why: "--password-file and --password-stdin exclude each other" })
      return yield* fromFile(options.file.value)
    }
    if (options.stdin) return yield* fromStdin
    if (process.stdin.isTTY) return yield* fromPrompt
    return yield* new WrongUsage({ why: "no password: give --password-file FILE or --password-stdin" })
  })
