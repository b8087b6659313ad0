import { Command } from "@effect/cli"
import { Effect, Either } from "effect"
import { parseDefinition } from "../../../domain/Definition.ts"
import { formatProblem } from "../../../domain/Toml.ts"
import { type DefinitionFile, Definitions } from "../../../services/Definitions.ts"
import * as Json from "../../json.ts"
import { answer, type Look } from "../../output.ts"
import { table } from "../../table.ts"

const heading = ["SERVICE", "NODE", "ACTIVE", "COMPONENTS", "DEFINITION"]

const rowOf = ({ file, service, text }: DefinitionFile): Json.Definition =>
  Either.match(parseDefinition({ file, text, expectedName: service }), {
    onLeft: (problems) => ({
      ...{ service, file, valid: false, problems: problems.map(formatProblem), warnings: [] },
      ...{ node: null, active: null, components: null }
    }),
    onRight: ({ spec, warnings }) => ({
      ...{ service, file, valid: true, problems: [], warnings: warnings.map(formatProblem) },
      ...{ node: spec.node ?? null, active: spec.active, components: spec.components.map(({ name }) => name) }
    })
  })

const problems = (n: number) => ({ text: n === 1 ? "1 problem" : `${n} problems`, style: "red" as const })

const render = (dir: string, rows: ReadonlyArray<Json.Definition>, look: Look) =>
  rows.length === 0
    ? [`no definitions in ${dir}; mcp service new writes one`]
    : [
        ...table(
          heading,
          rows.map((row) => [
            row.service,
            row.node ?? "",
            row.active === null ? "" : row.active ? "yes" : { text: "no", style: "dim" },
            row.components?.join(" ") ?? "",
            row.valid ? "valid" : problems(row.problems.length)
          ]),
          look
        ),
        ...(rows.every(({ valid }) => valid) ? [] : ["mcp service check says what is wrong"])
      ]

export const list = Command.make(
  "list",
  {},
  Effect.fn("cli.service.list")(function* () {
    const { all, dir } = yield* Definitions
    const definitions = (yield* all).map(rowOf)
    yield* answer(Json.Definitions, { dir, definitions }, (look) => render(dir, definitions, look))
  })
).pipe(Command.withDescription("The definitions of the folder, and whether they are valid"))
