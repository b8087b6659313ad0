import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { shorten } from "../ansi.ts"
import { Exit } from "../errors.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { allNodes, askAll, isSilence, reading } from "../nodes.ts"
import { type Look, look } from "../output.ts"
import { names, overview, type Silent, silentWord } from "../overview.ts"
import * as rows from "../rows.ts"
import { table } from "../table.ts"
import * as Target from "../target.ts"
import { stamp, uptime } from "../time.ts"

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

export const status = Command.make(
  "status",
  { service, exitCode },
  Effect.fn("cli.status")(function* (args) {
    const options = yield* reading
    const wanted = Option.getOrElse(args.service, () => "")
    const nodes = wanted === "" ? yield* allNodes : [yield* locate(wanted)]
    const { answered, silent } = yield* askAll(nodes, (client) => client.getServiceStatus({ service: wanted }, options))
    // The agent of the one service did answer, and what it said is the answer.
    const refusal = wanted === "" ? undefined : silent.find(({ error }) => !isSilence(error))
    if (refusal !== undefined) return yield* refusal.error
    const { now } = yield* look
    const services = answered
      .flatMap(({ node, value }) => value.services.map((s) => rows.status(s, node.name, now)))
      .sort((a, b) => (`${a.service} ${a.node}` < `${b.service} ${b.node}` ? -1 : 1))
    const value = { services, unreachable_nodes: silent.map(rows.unreachable) }
    const empty = services.length === 0 && answered.length > 0
    yield* overview(Json.Status, value, (look) => render(services, silent, look), silent, {
      empty: empty ? `no services on ${names(answered.map(({ node }) => node.name))}` : undefined,
      exitCode: args.exitCode && services.some((s) => s.drift) ? Exit.changes : 0
    })
  })
).pipe(Command.withDescription("Desired and observed state, versions, health and drift"))
