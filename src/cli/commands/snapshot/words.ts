import { timestampDate } from "@bufbuild/protobuf/wkt"
import { Options } from "@effect/cli"
import { Clock, Effect } from "effect"
import type { SnapshotInfo } from "../../../gen/mcp/v1/mcp_pb.ts"
import type { NodeConfig } from "../../../services/Agents.ts"
import { Declined, UsageError } from "../../../services/CliError.ts"
import { bytes } from "../../bytes.ts"
import type * as Json from "../../json.ts"
import { ask, ofService, reading } from "../../nodes.ts"
import { Screen } from "../../Screen.ts"
import { uptime } from "../../time.ts"

export const yes = Options.boolean("yes").pipe(Options.withAlias("y"), Options.withDescription("do not ask"))
export const wait = Options.boolean("wait").pipe(
  Options.withDescription("wait while another act on the service is under way")
)

export const row = (found: SnapshotInfo, node: string): Json.Snapshot => ({
  service: found.service,
  id: found.id,
  node,
  made_on: found.node,
  made_by: found.actor,
  created_at: found.createdAt === undefined ? null : timestampDate(found.createdAt),
  method: found.method,
  size_bytes: Number(found.size),
  sha256: Buffer.from(found.sha256).toString("hex"),
  files: found.files === undefined ? null : Number(found.files),
  bytes: found.bytes === undefined ? null : Number(found.bytes),
  left_out: found.leftOut
})

export const counted = (files: number) => `${files} file${files === 1 ? "" : "s"}`

const facts = ({ bytes: whole, files, size_bytes }: Json.Snapshot) =>
  files === null || whole === null ? bytes(size_bytes) : `${counted(files)}, ${bytes(whole)}`

/** How a question and an answer call it: by its age, which says more than its id. */
export const described = (snapshot: Json.Snapshot) =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const age = snapshot.created_at === null ? "" : `${uptime(Math.max(0, now - snapshot.created_at.getTime()))} old, `
    return `${snapshot.id} (${age}${facts(snapshot)})`
  })

export const snapshotsOf = (node: NodeConfig, service: string) =>
  Effect.gen(function* () {
    const options = yield* reading
    const { snapshots } = yield* ask(node, (client) => client.listSnapshots({ service }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    return snapshots.map((found) => row(found, node.name))
  })

/** By its id or how that begins; of people's own making, so that case does not matter. */
export const pick = (snapshots: ReadonlyArray<Json.Snapshot>, service: string, word: string) =>
  Effect.gen(function* () {
    const found = snapshots.filter(({ id }) => id.startsWith(word.toUpperCase()))
    const [only, ...others] = found
    if (word !== "" && only !== undefined && others.length === 0) return only
    const next = { nextStep: `mcp snapshot list ${service}` }
    if (word === "" || only === undefined) {
      return yield* new UsageError({ problem: `${service} has no snapshot ${word}`, ...next })
    }
    return yield* new UsageError({ problem: `${word} is how ${found.length} snapshots of ${service} begin`, ...next })
  })

export const consent = (question: string, command: string, words: string) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (!screen.canAsk) {
      return yield* new UsageError({
        problem: `${command} asks first, and nobody is there to answer`,
        nextStep: `mcp ${command} ${words} --yes`
      })
    }
    if (!/^y(es)?$/i.test((yield* screen.ask(`${question} [y/N] `)).trim())) yield* new Declined()
  })
