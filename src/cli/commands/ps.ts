import { Command } from "@effect/cli"
import { Effect } from "effect"
import * as Json from "../json.ts"
import { allNodes, askAll, reading } from "../nodes.ts"
import { type Look, look } from "../output.ts"
import { names, overview, type Silent, silentCell } from "../overview.ts"
import * as rows from "../rows.ts"
import { table } from "../table.ts"
import { uptime } from "../time.ts"

const heading = ["SERVICE", "COMPONENT", "NODE", "STATE", "VERSION", "UPTIME", "PORTS", "RESTARTS"]

const render = (components: ReadonlyArray<Json.Running>, silent: Silent, look: Look) =>
  table(
    heading,
    [
      ...components.map((c) => [
        c.service,
        c.component,
        c.node,
        rows.stateCell(c.state, {
          desired: c.desired,
          exitCode: c.exit_code,
          health: c.health,
          restartsIn: rows.restartsIn(c.restart_at, look.now)
        }),
        c.version,
        c.uptime_ms === null ? "" : uptime(c.uptime_ms),
        c.ports.join(" "),
        String(c.restarts)
      ]),
      ...silent.map(({ error, node }) => ["", "", node.name, silentCell(error), "", "", "", ""])
    ],
    look
  )

export const ps = Command.make(
  "ps",
  {},
  Effect.fn("cli.ps")(function* () {
    const options = yield* reading
    const { answered, silent } = yield* askAll(yield* allNodes, (client) => client.liveCheck({}, options))
    const { now } = yield* look
    const components = rows.sorted(
      answered.flatMap(({ node, value }) => value.components.map((c) => rows.running(c, node.name, now)))
    )
    const value = { components, unreachable_nodes: silent.map(rows.unreachable) }
    const empty = components.length === 0 && answered.length > 0
    yield* overview(Json.Ps, value, (look) => render(components, silent, look), silent, {
      empty: empty ? `nothing runs on ${names(answered.map(({ node }) => node.name))}` : undefined
    })
  })
).pipe(Command.withDescription("What runs now, on all nodes"))
