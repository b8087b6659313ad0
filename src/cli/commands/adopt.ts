import { Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { AdoptContainersResponse } from "../../gen/mcp/v1/mcp_pb.ts"
import { NodeAmbiguous } from "../../services/CliError.ts"
import { Definitions } from "../../services/Definitions.ts"
import * as Json from "../json.ts"
import { locate, nodeFor } from "../locate.ts"
import { acting, allNodes, ask, askAll, ofService, reading } from "../nodes.ts"
import { confirm, type Look, warn } from "../output.ts"
import * as rows from "../rows.ts"
import { table } from "../table.ts"
import * as Target from "../target.ts"

const dryRun = Options.boolean("dry-run").pipe(Options.withDescription("only tell what would be adopted"))
const node = Options.text("node").pipe(
  Options.withPseudoName("NAME"),
  Options.optional,
  Options.withDescription("the node whose containers are meant")
)

/** A service that no registry knows is on the node that would adopt something. */
const having = (service: string) =>
  locate(service).pipe(
    Effect.catchTag("ServiceUnknown", (unknown) =>
      Effect.gen(function* () {
        const options = yield* reading
        const request = { service, dryRun: true }
        const { answered } = yield* askAll(yield* allNodes, (client) =>
          Effect.orElseSucceed(client.adoptContainers(request, options), () => undefined)
        )
        const found = answered.filter(({ value }) => value !== undefined && value.components.length > 0)
        const [first, ...others] = found.map((each) => each.node)
        if (first === undefined) return yield* unknown
        if (others.length === 0) return first
        return yield* new NodeAmbiguous({ service, nodes: found.map((each) => each.node.name) })
      })
    )
  )

const sources: Readonly<Record<string, string>> = { label: "its label", inspect: "podman's inspect" }

const componentsOf = ({ components }: AdoptContainersResponse) =>
  components.map(
    (c): Json.AdoptedComponent => ({
      component: c.component,
      container: c.container,
      container_id: c.containerId,
      image: c.image,
      source: c.source,
      observed: rows.observed(c.observed),
      missing_secrets: c.missingSecrets
    })
  )

const render = (value: typeof Json.Adopted.Type, hasDefinition: boolean, look: Look) => {
  const { components, dry_run, node, service } = value
  if (components.length === 0) return [`${service} on ${node}: there is nothing to adopt`]
  return [
    `${dry_run ? "would adopt" : "adopted"} ${service} on ${node}:`,
    ...table(
      ["COMPONENT", "CONTAINER", "STATE", "IMAGE", "SPEC FROM"],
      components.map((c) => [
        c.component,
        c.container,
        rows.stateCell(c.observed),
        c.image,
        sources[c.source] ?? c.source
      ]),
      { ...look, width: look.width - 2 }
    ).map((line) => `  ${line}`),
    ...(dry_run ? [] : [`next: ${hasDefinition ? `mcp plan ${service}` : `mcp service export ${service}`}`])
  ]
}

export const adopt = Command.make(
  "adopt",
  { service: Target.service, dryRun, node },
  Effect.fn("cli.adopt")(function* (args) {
    const { dryRun, service } = args
    const options = yield* acting
    const at = yield* Option.match(args.node, {
      onNone: () => having(service),
      onSome: (name) => nodeFor(service, name)
    })
    const found = yield* ask(at, (client) => client.adoptContainers({ service, dryRun }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    const components = componentsOf(found)
    const defined = Option.isSome(yield* Effect.orElseSucceed((yield* Definitions).find(service), Option.none))
    const value = { service, node: at.name, dry_run: dryRun, components, warnings: found.warnings }
    for (const warning of found.warnings) yield* warn(warning)
    for (const { component, missing_secrets } of components) {
      for (const name of missing_secrets) {
        yield* warn(`${component}: the value of its secret ${name} is not there: mcp secret set ${service} ${name}`)
      }
    }
    yield* confirm(Json.Adopted, value, (look) => render(value, defined, look))
  })
).pipe(Command.withDescription("Take over containers that the registry does not know"))
