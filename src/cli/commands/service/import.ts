import { Args, Command, Options } from "@effect/cli"
import { Effect, Either, Option } from "effect"
import type { Imported } from "../../../compose/importCompose.ts"
import type { Finding, Item, Outcome } from "../../../compose/Report.ts"
import { ServiceName } from "../../../domain/Names.ts"
import { formatProblem } from "../../../domain/Toml.ts"
import { definitionSchema } from "../../../reference/definition.ts"
import { asText } from "../../../reference/jsonSchema.ts"
import { ComposeInvalid, DefinitionExists, UsageError } from "../../../services/CliError.ts"
import { Definitions } from "../../../services/Definitions.ts"
import { LocalFiles } from "../../../services/LocalFiles.ts"
import { tame } from "../../ansi.ts"
import { checked } from "../../definitions.ts"
import { Globals } from "../../Globals.ts"
import * as Json from "../../json.ts"
import { answer, confirm } from "../../output.ts"
import { Screen } from "../../Screen.ts"

const optional = (name: string, placeholder: string, about: string) =>
  Options.text(name).pipe(Options.withPseudoName(placeholder), Options.optional, Options.withDescription(about))

const files = Args.atLeast(Args.text({ name: "file" }), 1)
const name = Options.text("name").pipe(
  Options.withPseudoName("SERVICE"),
  Options.withSchema(ServiceName),
  Options.optional,
  Options.withDescription("what the service is called; else as compose calls the project")
)
const profiles = Options.text("profile").pipe(
  Options.withPseudoName("P"),
  Options.repeated,
  Options.withDescription("take in the services of this profile; may be said again")
)
const envFile = optional("env-file", "FILE", "variables, instead of .env beside the compose file")
const output = optional("output", "FILE", "where the definition goes, instead of its folder")
const force = Options.boolean("force").pipe(Options.withDescription("write over a definition that is there"))
const dryRun = Options.boolean("dry-run").pipe(Options.withDescription("print the definition, and write nothing"))

const words: Record<Outcome, string> = { left_out: "left out", changed: "changed", advice: "note" }
const lineOf = ({ key, message, place }: Finding) => formatProblem({ ...place, key, message })

/** `compose.yaml:12:5: services.web.labels: left out: why, and what instead`. */
const told = (item: Item) => lineOf({ ...item, message: `${words[item.outcome]}: ${item.message}` })

const count = (items: ReadonlyArray<Item>, outcome: Outcome) => items.filter((item) => item.outcome === outcome).length

const summary = (items: ReadonlyArray<Item>) =>
  items.length === 0
    ? "all that it says is carried over"
    : `${count(items, "left_out")} left out, ${count(items, "changed")} changed, ${count(items, "advice")} to look at: each is told above`

/** What else there is on the command line, in the words of the compose reader. */
const read = (said: {
  readonly files: ReadonlyArray<string>
  readonly name: Option.Option<string>
  readonly profiles: ReadonlyArray<string>
  readonly envFile: Option.Option<string>
}) =>
  Effect.gen(function* () {
    const local = yield* LocalFiles
    const [first, ...rest] = said.files
    if (first === undefined) return yield* new UsageError({ problem: "say which compose file" })
    // YAML is read by nothing else, so that no other command loads it.
    const { importCompose } = yield* Effect.promise(() => import("../../../compose/importCompose.ts"))
    const found = importCompose({
      files: [first, ...rest],
      name: Option.getOrUndefined(said.name),
      folderName: local.folderName(first),
      profiles: said.profiles,
      env: local.environment,
      envFile: Option.getOrUndefined(said.envFile),
      read: local.read,
      kind: local.kind
    })
    if (Either.isRight(found)) return found.right
    const [problem, ...problems] = found.left
    return yield* new ComposeInvalid({ file: first, problems: [lineOf(problem), ...problems.map(lineOf)] })
  })

const refuseTaken = (service: string) =>
  Effect.gen(function* () {
    const there = yield* (yield* Definitions).find(service)
    if (Option.isSome(there)) return yield* new DefinitionExists({ service, file: there.value.file })
  })

/** Into the folder of definitions, where it must get along with the others. */
const save = ({ service, text }: Imported) =>
  Effect.gen(function* () {
    const { all, create, dir, find, publishSchema, save } = yield* Definitions
    const there = yield* find(service)
    const definition = { service, file: `${dir}/${service}.toml`, text }
    const folder = (yield* all).filter((other) => other.service !== service)
    yield* checked({ chosen: [{ definition, expectedName: service, components: [] }], folder })
    yield* publishSchema(asText(definitionSchema()))
    if (Option.isNone(there)) return (yield* create(service, text)).file
    yield* save({ ...there.value, text })
    return there.value.file
  })

export const importFile = Command.make(
  "import",
  { files, name, profiles, envFile, output, force, dryRun },
  Effect.fn("cli.service.import")(function* ({ dryRun, envFile, files, force, name, output, profiles }) {
    if (dryRun && Option.isSome(output)) return yield* new UsageError({ problem: "--dry-run writes no --output" })
    const imported = yield* read({ files, name, profiles, envFile })
    const { components, items, service, steps, text } = imported
    if (!dryRun && !force && Option.isNone(output)) yield* refuseTaken(service)
    const screen = yield* Screen
    const { json, quiet } = yield* Globals
    // What is left out is said even to those who want quiet.
    for (const item of items) if (!quiet || item.outcome === "left_out") yield* screen.err(`${told(item)}\n`)
    const next = [...steps, `mcp plan ${service}`]
    const document = (file: string | null, definition: string | null): typeof Json.Imported.Type => ({
      ...{ service, file, definition, components, next_steps: next },
      items: items.map(({ key, message, outcome, place }) => ({ ...place, key, outcome, message }))
    })
    if (dryRun) return yield* json ? answer(Json.Imported, document(null, text), () => []) : screen.out(text)
    const file = yield* Option.match(output, {
      onNone: () => save(imported),
      onSome: (path) => Effect.flatMap(LocalFiles, ({ write }) => write(path, text, force)).pipe(Effect.as(path))
    })
    yield* confirm(Json.Imported, document(file, null), () => [
      `wrote ${file}: ${components.length === 1 ? "component" : "components"} ${components.join(", ")}`,
      summary(items),
      ...next.map((step) => `next: ${tame(step)}`)
    ])
  })
).pipe(Command.withDescription("Make a definition of a compose file"))
