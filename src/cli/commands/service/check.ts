import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { Definitions } from "../../../services/Definitions.ts"
import { checked, selection } from "../../definitions.ts"
import * as Json from "../../json.ts"
import { answer, warn } from "../../output.ts"
import * as Target from "../../target.ts"

const file = Options.text("file").pipe(
  Options.withAlias("f"),
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription("a definition outside the folder")
)

const summary = (names: ReadonlyArray<string>) =>
  names.length === 1 ? `${names[0]} is valid` : `${names.length} definitions are valid: ${names.join(", ")}`

/** Nothing is sent: what only a node can tell, such as a port that is taken, `mcp plan` and `deploy` say. */
export const check = Command.make(
  "check",
  { services: Args.repeated(Target.service), file },
  Effect.fn("cli.service.check")(function* ({ file, services }) {
    const { dir } = yield* Definitions
    const targets = services.map((service) => ({ service, component: undefined }))
    const all = services.length === 0 && Option.isNone(file)
    const found = yield* checked(yield* selection({ targets, all, file: Option.getOrUndefined(file) }))
    for (const text of found.flatMap(({ warnings }) => warnings)) yield* warn(text)
    const definitions = found.map(({ definition, spec, warnings }) => ({
      ...{ service: spec.name, file: definition.file, valid: true, problems: [], warnings },
      ...{ node: spec.node ?? null, active: spec.active, components: spec.components.map(({ name }) => name) }
    }))
    yield* answer(Json.Definitions, { dir, definitions }, () => [summary(definitions.map(({ service }) => service))])
  })
).pipe(Command.withDescription("Whether definitions are valid; all of the folder without a name"))
