import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { NodeConfig } from "../../services/Agents.ts"
import { UsageError } from "../../services/CliError.ts"
import { shorten } from "../ansi.ts"
import { Exit } from "../errors.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
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

const verdict = (s: Json.StatusService, look: Look) =>
  s.drift
    ? look.paint("red", `drift in ${s.components.flatMap((c) => (c.drift.length > 0 ? [c.component] : [])).join(", ")}`)
    : look.paint("green", `${s.desired} as desired`)

const indented = (lines: ReadonlyArray<string>) => lines.map((line) => `  ${line}`)

const renderService = (s: Json.StatusService, look: Look): ReadonlyArray<string> => [
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
    )
]

const render = (services: ReadonlyArray<Json.StatusService>, silent: Silent, look: Look) => [
  ...services.flatMap((s, i) => [...(i === 0 ? [] : [""]), ...renderService(s, look)]),
  ...silent.map(({ error, node }) => `${node.name}: ${look.paint("red", silentWord(error))}`)
]

const service = Args.optional(Target.service)
const exitCode = Options.boolean("exit-code").pipe(Options.withDescription("exit with 3 when there is drift"))

const watching = Options.boolean("watch").pipe(
  Options.withAlias("w"),
  Options.withDescription("look again every 2 s, until Ctrl-C")
)

interface Seen {
  readonly services: ReadonlyArray<Json.StatusService>
  readonly silent: Silent
  /** What to say when there is nothing. */
  readonly empty: string | undefined
}

const observe = (wanted: string, nodes: ReadonlyArray<NodeConfig>) =>
  Effect.gen(function* () {
    const options = yield* reading
    const { answered, silent } = yield* askAll(nodes, (client) => client.getServiceStatus({ service: wanted }, options))
    if (wanted !== "") yield* failIfAnswered(silent)
    const { now } = yield* look
    const services = answered
      .flatMap(({ node, value }) => value.services.map((s) => rows.status(s, node.name, now)))
      .sort((a, b) => (`${a.service} ${a.node}` < `${b.service} ${b.node}` ? -1 : 1))
    const none = services.length === 0 && answered.length > 0
    const empty = none ? `no services on ${names(answered.map(({ node }) => node.name))}` : undefined
    return { services, silent, empty } satisfies Seen
  })

const valueOf = ({ services, silent }: Seen) => ({ services, unreachable_nodes: silent.map(rows.unreachable) })

const pictureOf = (seen: Seen) => ({
  value: valueOf(seen),
  lines: (look: Look) => [
    ...(seen.empty === undefined ? [] : [seen.empty]),
    ...render(seen.services, seen.silent, look)
  ]
})

export const status = Command.make(
  "status",
  { service, exitCode, watch: watching },
  Effect.fn("cli.status")(function* (args) {
    const wanted = Option.getOrElse(args.service, () => "")
    const nodes = wanted === "" ? yield* allNodes : [yield* locate(wanted)]
    const now = observe(wanted, nodes)
    if (args.watch) {
      if (args.exitCode) {
        return yield* new UsageError({ problem: "--exit-code is for one look, not with --watch" })
      }
      const title = wanted === "" ? "mcp status" : `mcp status ${wanted}`
      return yield* watch(title, Json.Status, Effect.map(now, pictureOf))
    }
    const seen = yield* now
    const { empty, services, silent } = seen
    yield* overview(Json.Status, valueOf(seen), (look) => render(services, silent, look), silent, {
      empty,
      exitCode: args.exitCode && services.some((s) => s.drift) ? Exit.changes : 0
    })
  })
).pipe(Command.withDescription("Desired and observed state, versions, health and drift"))
