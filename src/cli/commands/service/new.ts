import { Command, Options } from "@effect/cli"
import { Effect, Either, Option } from "effect"
import { parseDefinition } from "../../../domain/Definition.ts"
import { definitionTemplate } from "../../../domain/definitionTemplate.ts"
import { formatProblem } from "../../../domain/Toml.ts"
import { DefinitionExists, DefinitionsInvalid } from "../../../services/CliError.ts"
import { Definitions } from "../../../services/Definitions.ts"
import * as Json from "../../json.ts"
import { confirm } from "../../output.ts"
import * as Target from "../../target.ts"

const image = Options.text("image").pipe(
  Options.withPseudoName("REF"),
  Options.withDescription("what its component runs, such as nginx:1.27")
)
const component = Options.text("component").pipe(
  Options.withPseudoName("NAME"),
  Options.optional,
  Options.withDescription("the component's name; the service's without it")
)
const node = Options.text("node").pipe(
  Options.withPseudoName("NAME"),
  Options.optional,
  Options.withDescription("the node that it belongs on")
)
const ports = Options.text("port").pipe(
  Options.withAlias("p"),
  Options.withPseudoName("[IP:]HOST:CONTAINER"),
  Options.repeated,
  Options.withDescription("a fixed port of the node; may be said again")
)

export const create = Command.make(
  "new",
  { service: Target.service, image, component, node, ports },
  Effect.fn("cli.service.new")(function* ({ component, image, node, ports, service }) {
    const { create, dir, find } = yield* Definitions
    const there = yield* find(service)
    if (Option.isSome(there)) return yield* new DefinitionExists({ service, file: there.value.file })
    const text = definitionTemplate({
      ...{ service, image, ports, component: Option.getOrElse(component, () => service) },
      node: Option.getOrUndefined(node)
    })
    // Told with the words of a definition: a bad image, port or name is the same mistake there.
    const problems = Either.match(parseDefinition({ file: `${dir}/${service}.toml`, text, expectedName: service }), {
      onLeft: (found) => found.map(formatProblem),
      onRight: () => []
    })
    const [first, ...rest] = problems
    if (first !== undefined) return yield* new DefinitionsInvalid({ problems: [first, ...rest], files: 1 })
    const { file } = yield* create(service, text)
    yield* confirm(Json.Created, { service, file }, () => [`wrote ${file}`, `next: mcp deploy ${service}`])
  })
).pipe(Command.withDescription("Write a definition to begin with"))
