import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { DeploymentInfo } from "../../gen/mcp/v1/mcp_pb.ts"
import { UsageError } from "../../services/CliError.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { ask, ofService, reading } from "../nodes.ts"
import { answer, type Look, note } from "../output.ts"
import { idle, planLines, versions } from "../planAll.ts"
import * as rows from "../rows.ts"
import { type Cell, table } from "../table.ts"
import * as Target from "../target.ts"
import { stamp } from "../time.ts"

const MOST = 1000

const entry = (d: DeploymentInfo): Json.HistoryEntry => ({
  ...rows.deployment(d),
  kind: d.kind,
  rollback_to: rows.text(d.rollbackTo),
  reason: rows.text(d.reason),
  component: rows.text(d.component),
  last_error: rows.text(d.lastError),
  last_logs: d.lastLogs,
  current: d.current,
  pinned: d.pinned,
  images_kept: d.imagesKept,
  changes: d.changes.map((c) => ({
    component: c.component,
    action: rows.action(c.action),
    from_image: rows.text(c.fromImage),
    to_image: rows.text(c.toImage)
  }))
})

const because = (why: string | null) => (why === null ? "" : `: ${why}`)

const outcome = (d: Json.HistoryEntry): Cell => {
  const marks = `${d.current ? ", current" : ""}${d.pinned ? ", pinned" : ""}`
  switch (d.state) {
    case "succeeded":
      return { text: `succeeded${marks}`, style: d.current ? "green" : undefined }
    case "rolled_back":
      return { text: `rolled back${because(d.reason ?? d.error)}${marks}`, style: "red" }
    default:
      return { text: `under way (${d.state.replaceAll("_", " ")})${because(d.last_error)}${marks}`, style: "yellow" }
  }
}

type Change = Json.HistoryEntry["changes"][number]

const changed = ({ action, component, from_image, to_image }: Change): string => {
  const between = versions(from_image, to_image)
  if (action === "replace") return `${component} ${between.includes("→") ? between : "replaced"}`
  if (action === "create") return `${component} ${between} created`
  return `${component} ${action === "stop" ? "stopped" : "started"}`
}

const changes = (d: Json.HistoryEntry): string => {
  if (d.kind === "adopt") return `adopted ${d.changes.map((c) => c.component).join(", ")}`
  const all = d.changes.filter((c) => !idle(c)).map(changed)
  return [...(d.rollback_to === null ? [] : [`back to ${d.rollback_to}`]), ...all].join(", ") || "nothing"
}

const heading = ["DEPLOYMENT", "WHEN", "WHO", "KIND", "OUTCOME", "CHANGES"]

const render = (deployments: ReadonlyArray<Json.HistoryEntry>, look: Look) =>
  table(
    heading,
    deployments.map((d) => [
      d.deployment,
      d.started_at === null ? "" : stamp(d.started_at),
      d.actor,
      d.kind,
      outcome(d),
      changes(d)
    ]),
    look
  )

/** An option has one value: the second deployment is the word that is left. */
const compared = (first: string | undefined, second: string | undefined) => {
  if ((first === undefined) === (second === undefined)) return Effect.void
  return new UsageError({
    problem: first === undefined ? `unexpected argument ${second}` : "--diff takes two deployments",
    nextStep: "mcp history <service> --diff A B"
  })
}

export const history = Command.make(
  "history",
  {
    service: Target.service,
    second: Args.text({ name: "B" }).pipe(Args.optional),
    limit: Options.integer("limit").pipe(
      Options.withPseudoName("N"),
      Options.optional,
      Options.withDescription("how many, the newest first; 20 without it")
    ),
    diff: Options.text("diff").pipe(
      Options.withPseudoName("A B"),
      Options.optional,
      Options.withDescription("what differs between two deployments")
    )
  },
  Effect.fn("cli.history")(function* (args) {
    const { service } = args
    const [from, to] = [Option.getOrUndefined(args.diff), Option.getOrUndefined(args.second)]
    yield* compared(from, to)
    const limit = Option.getOrElse(args.limit, () => 0)
    if (Option.isSome(args.limit) && (limit < 1 || limit > MOST)) {
      return yield* new UsageError({ problem: `--limit ${limit}: expected 1 to ${MOST}` })
    }
    const options = yield* reading
    const node = yield* locate(service)
    const request = { service, limit, diffFrom: from ?? "", diffTo: to ?? "" }
    const found = yield* ask(node, (client) => client.listDeployments(request, options)).pipe(
      Effect.mapError(ofService(service))
    )
    if (from !== undefined && to !== undefined) {
      const components = found.diff.map(rows.planned)
      const differs = components.some((c) => !idle(c) || c.changes.length > 0)
      const value = { service, node: node.name, from, to, changes: differs, components }
      return yield* answer(Json.HistoryDiff, value, ({ paint }) => [
        `${paint("bold", service)} on ${node.name}, ${from} → ${to}:${differs ? "" : " no difference"}`,
        ...planLines(components, paint)
      ])
    }
    const deployments = found.deployments.map(entry)
    if (deployments.length === 0) yield* note(`${service} on ${node.name} has no deployments`)
    yield* answer(Json.History, { service, node: node.name, deployments }, (look) =>
      deployments.length === 0 ? [] : render(deployments, look)
    )
  })
).pipe(Command.withDescription("Earlier deployments: who, when, what changed, outcome"))
