import { Command } from "@effect/cli"
import { Effect } from "effect"
import * as Json from "../json.ts"
import { allNodes, askAll, reading } from "../nodes.ts"
import type { Look } from "../output.ts"
import { names, overview, type Silent, silentCell } from "../overview.ts"
import * as rows from "../rows.ts"
import { table } from "../table.ts"

const heading = ["SERVICE", "COMPONENT", "NODE", "DESIRED", "OBSERVED", "VERSION"]

const render = (components: ReadonlyArray<Json.Listed>, silent: Silent, look: Look) =>
  table(
    heading,
    [
      ...components.map((c) => [
        c.service,
        c.component,
        c.node,
        c.desired,
        rows.stateCell(c.observed, { desired: c.desired }),
        c.version
      ]),
      ...silent.map(({ error, node }) => ["", "", node.name, "", silentCell(error), ""])
    ],
    look
  )

export const list = Command.make(
  "list",
  {},
  Effect.fn("cli.list")(function* () {
    const options = yield* reading
    const { answered, silent } = yield* askAll(yield* allNodes, (client) => client.listServices({}, options))
    const components = rows.sorted(
      answered.flatMap(({ node, value }) =>
        value.services.flatMap((s) => s.components.map((c) => rows.listed(c, s.name, node.name)))
      )
    )
    const value = { components, unreachable_nodes: silent.map(rows.unreachable) }
    const empty = components.length === 0 && answered.length > 0
    yield* overview(Json.List, value, (look) => render(components, silent, look), silent, {
      empty: empty ? `no services on ${names(answered.map(({ node }) => node.name))}` : undefined
    })
  })
).pipe(Command.withDescription("Services and components in the registries of all nodes"))
