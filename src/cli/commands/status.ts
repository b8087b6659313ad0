import { Args, Command, Options } from "@effect/cli"
import { Effect, Option, Stream } from "effect"
import type { NodeConfig } from "../../services/Agents.ts"
import { UsageError } from "../../services/CliError.ts"
import { plain, shorten } from "../ansi.ts"
import { Exit } from "../errors.ts"
import { eventLine } from "../eventLine.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { news } from "../news.ts"
import { allNodes, askAll, failIfAnswered, reading } from "../nodes.ts"
import { type Look, look } from "../output.ts"
import { names, overview, type Silent, silentWord } from "../overview.ts"
import * as rows from "../rows.ts"
import { table } from "../table.ts"
import * as Target from "../target.ts"
import { stamp, uptime } from "../time.ts"
import { watch } from "../watch.ts"

const heading = ["COMPONENT", "DESIRED", "OBSERVED", "VERSION", "HEALTH", "UPTIME", "PORTS", "RESTARTS", "DRIFT"]

const DEPLOYMENTS = 3

/** Of one service its events are shown; of many only of those that are not as they should be. */
const EVENTS = 5

/** Events that the lines of the deployments tell already. */
const told: ReadonlySet<string> = new Set(["deploy", "rollback", "restart", "adopt"])

const verdict = (s: Json.StatusService, look: Look) =>
  s.drift
    ? look.paint("red", `drift in ${s.components.flatMap((c) => (c.drift.length > 0 ? [c.component] : [])).join(", ")}`)
    : look.paint("green", `${s.desired} as desired`)

const indented = (lines: ReadonlyArray<string>) => lines.map((line) => `  ${line}`)

const silenced = (s: Json.StatusService, look: Look) => {
  const until = s.components.flatMap((c) => (c.silenced_until === null ? [] : [c.silenced_until]))
  const [first] = until
  if (first === undefined) return []
  const all = until.length === s.components.length && until.every((time) => time.getTime() === first.getTime())
  if (all) return [look.paint("yellow", `  silenced until ${stamp(first)}`)]
  return s.components.flatMap((c) =>
    c.silenced_until === null
      ? []
      : [look.paint("yellow", `  ${c.component} silenced until ${stamp(c.silenced_until)}`)]
  )
}

const renderService = (s: Json.StatusService, look: Look, alone: boolean): ReadonlyArray<string> => [
  `${look.paint("bold", s.service)} on ${s.node}: ${verdict(s, look)}${s.comment === null ? "" : `  # ${s.comment}`}`,
  ...indented(
    table(
      heading,
      s.components.map((c) => [
        c.component,
        c.desired,
        rows.stateCell(c.observed, {
          desired: c.desired,
          exitCode: c.exit_code,
          health: c.health,
          restartsIn: rows.restartsIn(c.restart_at, look.now)
        }),
        c.running_version !== null && c.running_version !== c.version
          ? `${c.running_version}, not ${c.version}`
          : c.version,
        c.health ?? "",
        c.uptime_ms === null ? "" : uptime(c.uptime_ms),
        c.ports.join(" "),
        String(c.restarts),
        { text: c.drift.join(" "), style: "red" as const }
      ]),
      { ...look, width: look.width - 2 }
    )
  ),
  ...s.components.flatMap((c) =>
    c.podman_restart === null ? [] : [`  ${c.component}: adopted; podman itself restarts it (${c.podman_restart})`]
  ),
  ...s.deployments
    .slice(0, DEPLOYMENTS)
    .map((d) =>
      shorten(
        `  ${d.started_at === null ? "-" : stamp(d.started_at)}  ${d.state} by ${d.actor || "?"}${d.error === null ? "" : `: ${d.error}`}`,
        look.width
      )
    ),
  ...silenced(s, look),
  ...(alone || s.drift ? s.events.filter(({ kind }) => !told.has(kind)).slice(-EVENTS) : []).map((event) =>
    shorten(`  ${eventLine(event, { ...look, paint: plain }, "here")}`, look.width)
  )
]

const render = (services: ReadonlyArray<Json.StatusService>, silent: Silent, look: Look) => [
  ...services.flatMap((s, i) => [...(i === 0 ? [] : [""]), ...renderService(s, look, services.length === 1)]),
  ...silent.map(({ error, node }) => `${node.name}: ${look.paint("red", silentWord(error))}`)
]

const service = Args.optional(Target.service)
const exitCode = Options.boolean("exit-code").pipe(Options.withDescription("exit with 3 when there is drift"))

const watching = Options.boolean("watch").pipe(
  Options.withAlias("w"),
  Options.withDescription("go on as things change, until Ctrl-C")
)

type Answered = Effect.Effect.Success<ReturnType<typeof ask>>

const ask = (wanted: string, nodes: ReadonlyArray<NodeConfig>) =>
  Effect.gen(function* () {
    const options = yield* reading
    const answers = yield* askAll(nodes, (client) => client.getServiceStatus({ service: wanted }, options))
    if (wanted !== "") yield* failIfAnswered(answers.silent)
    return answers
  })

const seenAt = ({ answered, silent }: Answered, now: Date) => {
  const services = answered
    .flatMap(({ node, value }) => value.services.map((s) => rows.status(s, node.name, now)))
    .sort((a, b) => (`${a.service} ${a.node}` < `${b.service} ${b.node}` ? -1 : 1))
  const none = services.length === 0 && answered.length > 0
  const empty = none ? `no services on ${names(answered.map(({ node }) => node.name))}` : undefined
  return { services, silent, empty }
}

const valueOf = ({ services, silent }: ReturnType<typeof seenAt>) => ({
  services,
  unreachable_nodes: silent.map(rows.unreachable)
})

const pictureOf = (answered: Answered, now: Date) => ({
  value: valueOf(seenAt(answered, now)),
  lines: (look: Look) => {
    const seen = seenAt(answered, look.now)
    return [...(seen.empty === undefined ? [] : [seen.empty]), ...render(seen.services, seen.silent, look)]
  }
})

/** Several things that happen at once are one look. */
const gather = "100 millis"

/** Each node is asked again when it says that something is otherwise, and those that are silent when they answer. */
const pictures = (wanted: string, nodes: ReadonlyArray<NodeConfig>) =>
  Stream.unwrap(
    Effect.gen(function* () {
      let known = yield* ask(wanted, nodes)
      const again = (which: ReadonlyArray<NodeConfig>) =>
        Effect.gen(function* () {
          const fresh = yield* ask(wanted, which)
          const of = new Set(which.map(({ name }) => name))
          const others = <A extends { readonly node: NodeConfig }>(all: ReadonlyArray<A>) =>
            all.filter(({ node }) => !of.has(node.name))
          known = {
            answered: [...others(known.answered), ...fresh.answered],
            silent: [...others(known.silent), ...fresh.silent]
          }
          return known
        })
      const changes = news(nodes, () => ({ service: wanted, component: "", after: 0n, limit: 0 })).pipe(
        Stream.map(({ node }) => node),
        Stream.groupedWithin(nodes.length * 8, gather),
        Stream.mapEffect((some) => again([...new Map(Array.from(some, (node) => [node.name, node])).values()]))
      )
      const now = Effect.map(look, (seen) => seen.now)
      return Stream.concat(Stream.succeed(known), changes).pipe(
        Stream.mapEffect((answers) => Effect.map(now, (at) => pictureOf(answers, at)))
      )
    })
  )

export const status = Command.make(
  "status",
  { service, exitCode, watch: watching },
  Effect.fn("cli.status")(function* (args) {
    const wanted = Option.getOrElse(args.service, () => "")
    const nodes = wanted === "" ? yield* allNodes : [yield* locate(wanted)]
    if (args.watch) {
      if (args.exitCode) {
        return yield* new UsageError({ problem: "--exit-code is for one look, not with --watch" })
      }
      const title = wanted === "" ? "mcp status" : `mcp status ${wanted}`
      return yield* watch(title, Json.Status, pictures(wanted, nodes))
    }
    const seen = seenAt(yield* ask(wanted, nodes), (yield* look).now)
    const { empty, services, silent } = seen
    yield* overview(Json.Status, valueOf(seen), (look) => render(services, silent, look), silent, {
      empty,
      exitCode: args.exitCode && services.some((s) => s.drift) ? Exit.changes : 0
    })
  })
).pipe(Command.withDescription("Desired and observed state, versions, health and drift"))
