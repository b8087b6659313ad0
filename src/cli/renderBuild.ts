import { Effect, Option, Ref } from "effect"
import type { Buildable } from "../domain/BuildPlan.ts"
import type { BuildEvents, Built } from "../programs/buildImages.ts"
import { clearLine, type Style, shorten, tame } from "./ansi.ts"
import { type CliFailure, report } from "./errors.ts"
import { Globals } from "./Globals.ts"
import type * as Json from "./json.ts"
import { errPaint, type Look } from "./output.ts"
import { Screen } from "./Screen.ts"
import { table } from "./table.ts"

/** The steps on stderr, one a line; on a terminal also what the step under way writes, in one line that comes and goes. */
export const buildProgress = Effect.gen(function* () {
  const screen = yield* Screen
  const { quiet } = yield* Globals
  const paint = yield* errPaint
  const passing = yield* Ref.make(false)
  const clear = Effect.flatMap(Ref.getAndSet(passing, false), (there) =>
    there ? screen.err(`\r${clearLine}`) : Effect.void
  )
  const lasting = (text: string) => Effect.zipRight(clear, screen.err(`${paint("dim", tame(text))}\n`))
  const passingBy = (text: string) =>
    Effect.gen(function* () {
      const { columns } = yield* screen.size
      yield* Ref.set(passing, true)
      yield* screen.err(`\r${clearLine}${paint("dim", shorten(tame(text), Math.max(10, columns - 1)))}`)
    })
  const events: BuildEvents = {
    line: ({ name }: Buildable, { step, text }) => {
      if (quiet) return Effect.void
      if (step) return lasting(`${name}  ${text}`)
      return screen.errIsTty ? passingBy(`${name}  ${text}`) : Effect.void
    },
    sending: ({ name, reference }) => (quiet ? Effect.void : lasting(`${name}  sending ${reference}`)),
    warning: (text) => Effect.zipRight(clear, screen.err(`${paint("yellow", "warning:")} ${tame(text)}\n`))
  }
  yield* Effect.addFinalizer(() => clear)
  return events
})

/** `ImageRegistryUnreachable` as `IMAGE_REGISTRY_UNREACHABLE`. */
const reasonOf = (error: CliFailure) =>
  error._tag === "RpcError" ? error.reason : error._tag.replace(/(?<!^)([A-Z])/g, "_$1").toUpperCase()

const failureOf = (error: CliFailure): Json.Failure => ({
  reason: reasonOf(error),
  message: error.message,
  next_step: report(error, "build").next ?? null
})

export const builtImage = (built: Built<CliFailure>, loaded: Json.LoadedImage | null): Json.BuiltImage => ({
  image: built.image.name,
  reference: built.image.reference,
  components: built.image.components,
  dockerfile: built.image.dockerfile,
  result: built.outcome,
  digest: Option.getOrNull(built.digest),
  loaded,
  failure: Option.getOrNull(Option.map(built.failure, failureOf))
})

const styles: Record<Json.BuiltImage["result"], Style> = {
  built: "green",
  pushed: "green",
  loaded: "green",
  skipped: "dim",
  failed: "red"
}

export const builtTable = (images: ReadonlyArray<Json.BuiltImage>, { paint, width }: Look): ReadonlyArray<string> =>
  table(
    ["IMAGE", "RESULT", "DIGEST"],
    images.map(({ digest, reference, result }) => [reference, { text: result, style: styles[result] }, digest ?? ""]),
    { paint, width }
  )
