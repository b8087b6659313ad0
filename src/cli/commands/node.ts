import { Command } from "@effect/cli"
import { Effect } from "effect"
import type { NodeStatusResponse } from "../../gen/mcp/v1/mcp_pb.ts"
import type { RpcError } from "../../grpc/status.ts"
import type { NodeConfig } from "../../services/Agents.ts"
import type { Style } from "../ansi.ts"
import * as Json from "../json.ts"
import { allNodes, askAll, reading } from "../nodes.ts"
import { type Look, look } from "../output.ts"
import { overview, silentWord } from "../overview.ts"
import { date, text } from "../rows.ts"
import { table } from "../table.ts"
import { add } from "./node/add.ts"
import { remove } from "./node/remove.ts"

const heading = ["NAME", "ROLE", "ADDRESS", "ARCH", "STATUS", "VERSION", "SERVICES", "LAST-SEEN"]

const styles: Record<Json.Node["status"], Style> = {
  ready: "green",
  degraded: "yellow",
  unreachable: "red",
  refused: "red"
}

const answeredRow = (node: NodeConfig, s: NodeStatusResponse, now: Date): Json.Node => ({
  node: node.name,
  role: text(s.role),
  address: node.addresses[0],
  arch: text(s.arch) ?? node.arch ?? null,
  status: s.runtime?.available === false ? "degraded" : "ready",
  message: text(s.runtime?.error ?? ""),
  version: text(s.version),
  services: s.services,
  containers_running: s.containersRunning,
  started_at: date(s.startedAt),
  last_seen: now
})

const silentRow = (node: NodeConfig, error: RpcError): Json.Node => ({
  node: node.name,
  role: null,
  address: node.addresses[0],
  arch: node.arch ?? null,
  status: silentWord(error),
  message: error.detail,
  version: null,
  services: null,
  containers_running: null,
  started_at: null,
  last_seen: null
})

const render = (nodes: ReadonlyArray<Json.Node>, look: Look) => [
  ...table(
    heading,
    nodes.map((n) => [
      n.node,
      n.role ?? "",
      n.address,
      n.arch ?? "",
      { text: n.status, style: styles[n.status] },
      n.version ?? "",
      n.services === null ? "" : String(n.services),
      n.last_seen === null ? "" : "now"
    ]),
    look
  ),
  ...nodes.flatMap((n) => (n.status === "degraded" ? [`${n.node}: podman does not answer: ${n.message ?? ""}`] : []))
]

const list = Command.make(
  "list",
  {},
  Effect.fn("cli.node.list")(function* () {
    const options = yield* reading
    const { answered, silent } = yield* askAll(yield* allNodes, (client) => client.nodeStatus({}, options))
    const { now } = yield* look
    const nodes = [
      ...answered.map(({ node, value }) => answeredRow(node, value, now)),
      ...silent.map(({ error, node }) => silentRow(node, error))
    ].sort((a, b) => (a.node < b.node ? -1 : 1))
    yield* overview(Json.Nodes, { nodes }, (look) => render(nodes, look), silent)
  })
).pipe(Command.withDescription("The nodes of the config and how they are"))

export const node = Command.make("node").pipe(
  Command.withDescription("Nodes"),
  Command.withSubcommands([list, add, remove])
)
