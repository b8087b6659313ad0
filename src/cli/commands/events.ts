import { timestampFromDate } from "@bufbuild/protobuf/wkt"
import { Args, Command, Options } from "@effect/cli"
import { Effect, Option, Stream } from "effect"
import type { NodeConfig } from "../../services/Agents.ts"
import { eventLine } from "../eventLine.ts"
import { Globals } from "../Globals.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { news } from "../news.ts"
import { allNodes, askAll, failIfAnswered, reading } from "../nodes.ts"
import { jsonLine, look, note } from "../output.ts"
import { explainSilent, overview } from "../overview.ts"
import * as rows from "../rows.ts"
import { Screen } from "../Screen.ts"
import { invalid, since } from "../since.ts"
import * as Target from "../target.ts"

const limit = Options.integer("limit").pipe(
  Options.withPseudoName("N"),
  Options.mapEffect((n) => (n > 0 && n <= 1000 ? Effect.succeed(n) : invalid(`--limit ${n}: expected 1 to 1000`))),
  Options.withDefault(100),
  Options.withDescription("the newest N of each node")
)
const following = Options.boolean("follow").pipe(
  Options.withAlias("f"),
  Options.withDescription("go on as there are more")
)

const inOrder = (a: Json.Event, b: Json.Event) => (a.at?.getTime() ?? 0) - (b.at?.getTime() ?? 0) || a.id - b.id

interface Wanted {
  readonly service: string
  readonly component: string
  readonly limit: number
  readonly since: Option.Option<Date>
}

/** What the nodes have recorded so far. */
const recorded = (nodes: ReadonlyArray<NodeConfig>, { since, ...wanted }: Wanted) =>
  Effect.gen(function* () {
    const options = yield* reading
    const from = Option.match(since, { onNone: () => ({}), onSome: (time) => ({ since: timestampFromDate(time) }) })
    const { answered, silent } = yield* askAll(nodes, (client) => client.listEvents({ ...wanted, ...from }, options))
    const last = new Map(answered.map(({ node, value }) => [node.name, value.events.at(-1)?.id ?? 0n]))
    const found = answered.flatMap(({ node, value }) => value.events.map((event) => rows.event(event, node.name)))
    return { events: found.sort(inOrder), silent, last }
  })

/** A node that falls silent is said once, until it answers again. */
const follow = (nodes: ReadonlyArray<NodeConfig>, wanted: Wanted, last: ReadonlyMap<string, bigint>) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const { json } = yield* Globals
    const away = new Set<string>()
    yield* Stream.runForEach(
      news(nodes, (node) => ({ ...wanted, after: last.get(node.name) ?? 0n, limit: 1_000 })),
      ({ node, ...one }) =>
        Effect.gen(function* () {
          if (one.error !== undefined) {
            if (!away.has(node.name)) {
              yield* explainSilent([{ node, error: one.error }])
              yield* note(`  asking ${node.name} again until it answers; Ctrl-C ends`)
            }
            away.add(node.name)
            return
          }
          if (away.delete(node.name)) yield* note(`${node.name} answers again`)
          const seen = yield* look
          const events = one.events.map((event) => rows.event(event, node.name))
          yield* screen.out(
            events.map((event) => (json ? jsonLine(Json.Event, event) : `${eventLine(event, seen)}\n`)).join("")
          )
        })
    )
  })

export const events = Command.make(
  "events",
  { target: Args.optional(Target.one), since, limit, follow: following },
  Effect.fn("cli.events")(function* ({ follow: goesOn, limit, since, target }) {
    const { component, service } = Option.getOrElse(target, () => ({ service: "", component: undefined }))
    const nodes = service === "" ? yield* allNodes : [yield* locate(service)]
    const wanted = { service, component: component ?? "", limit, since }
    const { events, last, silent } = yield* recorded(nodes, wanted)
    if (service !== "") yield* failIfAnswered(silent)
    if (!goesOn) {
      const none = Option.isSome(since) ? "no events since then" : "no events are recorded"
      const value = { events, unreachable_nodes: silent.map(rows.unreachable) }
      return yield* overview(Json.Events, value, (look) => events.map((event) => eventLine(event, look)), silent, {
        empty: events.length === 0 && silent.length === 0 ? none : undefined
      })
    }
    const { json } = yield* Globals
    const seen = yield* look
    const lines = events.map((event) => (json ? jsonLine(Json.Event, event) : `${eventLine(event, seen)}\n`))
    yield* (yield* Screen).out(lines.join(""))
    yield* follow(nodes, wanted, last)
  })
).pipe(Command.withDescription("What became otherwise, and by whom"))
