import { Command, Options } from "@effect/cli"
import { Effect, Either, Option, Schema } from "effect"
import { definitionText } from "../../../domain/definitionText.ts"
import { quadlet } from "../../../domain/quadlet.ts"
import { ServiceSpec } from "../../../domain/Spec.ts"
import { fromProto } from "../../../grpc/spec.ts"
import { Code, RpcError } from "../../../grpc/status.ts"
import { definitionSchema } from "../../../reference/definition.ts"
import { asText } from "../../../reference/jsonSchema.ts"
import { UsageError } from "../../../services/CliError.ts"
import { Definitions } from "../../../services/Definitions.ts"
import { KeyFiles } from "../../../services/KeyFiles.ts"
import { Globals } from "../../Globals.ts"
import * as Json from "../../json.ts"
import { locate } from "../../locate.ts"
import { ask, at, ofService, reading } from "../../nodes.ts"
import { answer, confirm, warn } from "../../output.ts"
import { Screen } from "../../Screen.ts"
import * as Target from "../../target.ts"

const format = Options.choice("format", ["definition", "quadlet"]).pipe(
  Options.withDefault("definition"),
  Options.withDescription("definition, or units for podman")
)
const output = Options.text("output").pipe(
  Options.withAlias("o"),
  Options.withPseudoName("PATH"),
  Options.optional,
  Options.withDescription("a file or folder; standard output without it")
)
const force = Options.boolean("force").pipe(Options.withDescription("write over files that are there"))

interface File {
  readonly name: string
  readonly text: string
}

const filesOf = (spec: ServiceSpec, format: "definition" | "quadlet") => {
  if (format === "definition")
    return {
      files: [{ name: `${spec.name}.toml`, text: definitionText(Schema.encodeSync(ServiceSpec)(spec)) }],
      warnings: []
    }
  const { units, warnings } = quadlet(spec)
  return { files: units.map(({ file, text }) => ({ name: file, text })), warnings }
}

const isFile = (path: string) => path.endsWith(".toml")
const folderOf = (path: string) => (isFile(path) ? path.replace(/\/?[^/]*$/, "") : path.replace(/(.)\/+$/, "$1")) || "."

/** Only a lone definition may be given another name. */
const checkOutput = (output: string, format: string) =>
  isFile(output) && format === "quadlet"
    ? new UsageError({ problem: `--output ${output}: units go into a folder`, nextStep: "name a folder" })
    : Effect.void

/** Where each file goes. */
const placed = (files: ReadonlyArray<File>, output: string) =>
  files.map((file) => ({ ...file, path: isFile(output) ? output : `${folderOf(output)}/${file.name}` }))

const write = (files: ReadonlyArray<File & { readonly path: string }>, output: string, force: boolean) =>
  Effect.gen(function* () {
    const { create, makeFolder } = yield* KeyFiles
    const { dir, publishSchema, save } = yield* Definitions
    yield* makeFolder(folderOf(output), 0o755)
    if (!force) yield* create(files.map(({ path, text }) => ({ file: path, text })))
    else
      for (const { name, path, text } of files) yield* save({ service: name.replace(/\.toml$/, ""), file: path, text })
    if (folderOf(output) === dir && files.some(({ path }) => isFile(path)))
      yield* publishSchema(asText(definitionSchema()))
  })

const shown = (files: ReadonlyArray<File>) =>
  files.length === 1
    ? (files[0]?.text ?? "")
    : files.map(({ name, text }) => `# ${name}\n${text.trimEnd()}\n`).join("\n")

const specOf = (reply: Parameters<typeof fromProto>[0] | undefined) =>
  Either.mapLeft(
    reply === undefined ? Either.left([]) : fromProto(reply),
    (violations) =>
      new RpcError({
        code: Code.INTERNAL,
        reason: "SPEC_UNREADABLE",
        detail: `the agent's spec cannot be read: ${violations.map((v) => `${v.path.join(".")}: ${v.message}`).join("; ")}`,
        nextStep: "compare the versions of mcp and mcp-agent: mcp --version, mcp node list"
      })
  )

export const exportService = Command.make(
  "export",
  { service: Target.service, format, output, force },
  Effect.fn("cli.service.export")(function* ({ force, format, output, service }) {
    if (Option.isSome(output)) yield* checkOutput(output.value, format)
    const options = yield* reading
    const node = yield* locate(service)
    const reply = yield* ask(node, (client) => client.exportSpec({ service }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    const spec = yield* Effect.mapError(specOf(reply.spec), at(node))
    const { files, warnings: unsaid } = filesOf(spec, format)
    const warnings = [...reply.warnings, ...unsaid]
    for (const warning of warnings) yield* warn(warning)
    const value = (paths: ReadonlyMap<string, string>) => ({
      ...{ service, node: node.name, format, warnings },
      files: files.map(({ name, text }) => ({ name, text, path: paths.get(name) ?? null }))
    })
    if (Option.isNone(output)) {
      if ((yield* Globals).json) return yield* answer(Json.Exported, value(new Map()), () => [])
      return yield* (yield* Screen).out(shown(files))
    }
    const there = placed(files, output.value)
    yield* write(there, output.value, force)
    const paths = new Map(there.map(({ name, path }) => [name, path]))
    yield* confirm(Json.Exported, value(paths), () => there.map(({ path }) => `wrote ${path}`))
  })
).pipe(Command.withDescription("What runs, as a definition or quadlet units"))
