import { Args, Command } from "@effect/cli"
import { Effect, Option } from "effect"
import { bytes } from "../../bytes.ts"
import * as Json from "../../json.ts"
import { locate } from "../../locate.ts"
import { allNodes, askAll, failIfAnswered, reading } from "../../nodes.ts"
import type { Look } from "../../output.ts"
import { names, overview, type Silent, silentCell } from "../../overview.ts"
import * as rows from "../../rows.ts"
import { table } from "../../table.ts"
import * as Target from "../../target.ts"
import { stamp } from "../../time.ts"
import { row } from "./words.ts"

const heading = ["SERVICE", "ID", "CREATED", "SIZE", "FILES", "METHOD", "NODE"]

const cells = ({ created_at, files, id, method, node, service, size_bytes }: Json.Snapshot) => [
  service,
  id,
  created_at === null ? "" : stamp(created_at),
  bytes(size_bytes),
  files === null ? "" : String(files),
  method,
  node
]

const render = (snapshots: ReadonlyArray<Json.Snapshot>, silent: Silent, look: Look) =>
  table(
    heading,
    [...snapshots.map(cells), ...silent.map(({ error, node }) => ["", silentCell(error), "", "", "", "", node.name])],
    look
  )

/** By service; the newest first. */
const inOrder = (a: Json.Snapshot, b: Json.Snapshot) =>
  a.service === b.service ? (a.id < b.id ? 1 : -1) : a.service < b.service ? -1 : 1

export const list = Command.make(
  "list",
  { service: Args.optional(Target.service) },
  Effect.fn("cli.snapshot.list")(function* ({ service: named }) {
    const options = yield* reading
    const service = Option.getOrElse(named, () => "")
    const nodes = service === "" ? yield* allNodes : [yield* locate(service)]
    const { answered, silent } = yield* askAll(nodes, (client) => client.listSnapshots({ service }, options))
    if (service !== "") yield* failIfAnswered(silent)
    const snapshots = answered
      .flatMap(({ node, value }) => value.snapshots.map((found) => row(found, node.name)))
      .sort(inOrder)
    const value = { snapshots, unreachable_nodes: silent.map(rows.unreachable) }
    const where = names(answered.map(({ node }) => node.name))
    const of = service === "" ? "" : ` of ${service}`
    yield* overview(Json.Snapshots, value, (look) => render(snapshots, silent, look), silent, {
      empty: snapshots.length === 0 && answered.length > 0 ? `no snapshots${of} on ${where}` : undefined
    })
  })
).pipe(Command.withDescription("The snapshots of services' data that nodes keep"))
