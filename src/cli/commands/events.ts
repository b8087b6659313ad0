import { timestampFromDate } from "@bufbuild/protobuf/wkt"
import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { NodeConfig } from "../../services/Agents.ts"
import { tame } from "../ansi.ts"
import { Globals } from "../Globals.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { allNodes, askAll, failIfAnswered, reading } from "../nodes.ts"
import { jsonLine, type Look, look } from "../output.ts"
import { explainSilent, overview } from "../overview.ts"
import * as rows from "../rows.ts"
import { Screen } from "../Screen.ts"
import { invalid, since } from "../since.ts"
import * as Target from "../target.ts"
import { stamp } from "../time.ts"

const limit = Options.integer("limit").pipe(
  Options.withPseudoName("N"),
  Options.mapEffect((n) => (n > 0 && n <= 1000 ? Effect.succeed(n) : invalid(`--limit ${n}: expected 1 to 1000`))),
  Options.withDefault(100),
  Options.withDescription("the newest N of each node")
)
const follow = Options.boolean("follow").pipe(
  Options.withAlias("f"),
  Options.withDescription("go on as there are more")
)

const styles: Readonly<Record<string, "red" | "green" | "yellow">> = {
  exited: "red",
  unhealthy: "red",
  removed: "red",
  rolled_back: "red",
  running: "green",
  succeeded: "green"
}

const what = ({ from, kind, to }: Json.Event, { paint }: Look) => {
  const state = paint(styles[to], to)
  if (kind === "observed" || kind === "restarted") return `${from === null ? "" : `${from} -> `}${state}`
  return `${kind} ${state}`
}

/** One line: when, where, what, why, by whom. */
const line = (event: Json.Event, look: Look) => {
  const target = event.component === null ? event.service : `${event.service}/${event.component}`
  const again = event.kind === "restarted" ? " (started again)" : ""
  const why = event.message === null ? "" : `: ${tame(event.message)}`
  const by = event.actor === null ? "" : `  by ${event.actor}`
  const when = event.at === null ? "-" : stamp(event.at)
  return `${look.paint("dim", when)}  ${target} on ${event.node}: ${what(event, look)}${again}${why}${by}`
}

const inOrder = (a: Json.Event, b: Json.Event) => (a.at?.getTime() ?? 0) - (b.at?.getTime() ?? 0) || a.id - b.id

interface Wanted {
  readonly service: string
  readonly component: string
  readonly limit: number
  readonly since: Option.Option<Date>
}

/** What the nodes have recorded after the last that each was asked for; `seen` is kept up to date. */
const news = (nodes: ReadonlyArray<NodeConfig>, { since, ...wanted }: Wanted, seen: Map<string, bigint>) =>
  Effect.gen(function* () {
    const options = yield* reading
    const from = Option.match(since, { onNone: () => ({}), onSome: (time) => ({ since: timestampFromDate(time) }) })
    const { answered, silent } = yield* askAll(nodes, (client, node) =>
      client.listEvents({ ...wanted, ...from, after: seen.get(node.name) ?? 0n }, options)
    )
    const found = answered.flatMap(({ node, value }) => {
      const last = value.events.at(-1)
      if (last !== undefined) seen.set(node.name, last.id)
      return value.events.map((event) => rows.event(event, node.name))
    })
    return { events: found.sort(inOrder), silent }
  })

export const events = Command.make(
  "events",
  { target: Args.optional(Target.one), since, limit, follow },
  Effect.fn("cli.events")(function* ({ follow, limit, since, target }) {
    const { component, service } = Option.getOrElse(target, () => ({ service: "", component: undefined }))
    const nodes = service === "" ? yield* allNodes : [yield* locate(service)]
    const wanted = { service, component: component ?? "", limit, since }
    const seen = new Map<string, bigint>()
    const { events, silent } = yield* news(nodes, wanted, seen)
    if (service !== "") yield* failIfAnswered(silent)
    if (!follow) {
      const none = Option.isSome(since) ? "no events since then" : "no events are recorded"
      const value = { events, unreachable_nodes: silent.map(rows.unreachable) }
      return yield* overview(Json.Events, value, (look) => events.map((event) => line(event, look)), silent, {
        empty: events.length === 0 && silent.length === 0 ? none : undefined
      })
    }
    yield* explainSilent(silent)
    const screen = yield* Screen
    const { json } = yield* Globals
    const show = (events: ReadonlyArray<Json.Event>) =>
      Effect.flatMap(look, (look) =>
        screen.out(events.map((event) => (json ? jsonLine(Json.Event, event) : `${line(event, look)}\n`)).join(""))
      )
    if (events.length > 0) yield* show(events)
    while (true) {
      yield* Effect.sleep("1 second")
      const more = yield* news(nodes, wanted, seen)
      if (more.events.length > 0) yield* show(more.events)
    }
  })
).pipe(Command.withDescription("What became otherwise, and by whom"))
