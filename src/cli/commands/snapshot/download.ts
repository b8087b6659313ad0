import { Effect, Stream } from "effect"
import type { FileParts } from "../../../domain/FileParts.ts"
import type { ExportServiceDataResponse } from "../../../gen/mcp/v1/mcp_pb.ts"
import { type AgentClient, Agents, type NodeConfig } from "../../../services/Agents.ts"
import { UsageError } from "../../../services/CliError.ts"
import { FileNotFound } from "../../../services/FileTransfer.ts"
import { LocalTree } from "../../../services/LocalTree.ts"
import type * as Json from "../../json.ts"
import { acting, at, isRpcError, ofService } from "../../nodes.ts"
import { watched } from "../../transfer.ts"

const PRIVATE = 0o600
const HERE = new Uint8Array()

/** The archive as one file of a transfer: its digest is what the node has written down of it. */
const partsOf = ({ message }: ExportServiceDataResponse): FileParts => {
  switch (message.case) {
    case "start":
      return [
        { _tag: "Total", files: 1, bytes: Number(message.value.size) },
        {
          _tag: "Entry",
          entry: { path: HERE, kind: "file", mode: PRIVATE, size: Number(message.value.size), modifiedMs: 0, offset: 0 }
        }
      ]
    case "data":
      return [{ _tag: "Data", bytes: message.value }]
    case "end":
      return [{ _tag: "End", sha256: message.value.sha256 }, { _tag: "Last" }]
    default:
      return []
  }
}

/** Where it goes on this machine; asked before a snapshot is made for it. */
export const placeFor = (output: string) =>
  Effect.gen(function* () {
    const there = yield* (yield* LocalTree).look(output)
    if (there !== undefined && there.kind !== "folder") {
      return yield* new UsageError({
        problem: `${output} is there already, and is left as it is`,
        nextStep: "name another file, or a folder"
      })
    }
    const above = there === undefined ? /^(.*)\/[^/]*$/.exec(output.replace(/(.)\/+$/, "$1"))?.[1] : undefined
    const parent = above === undefined || above === "" ? undefined : above
    if (parent !== undefined && (yield* (yield* LocalTree).look(parent))?.kind !== "folder") {
      return yield* new FileNotFound({ path: parent })
    }
    const folder = there?.kind === "folder"
    return ({ id, service }: Json.Snapshot) =>
      folder ? `${output.replace(/\/+$/, "")}/${service}-${id}.tar.zst` : output
  })

/** Written under another name, for nobody else's eyes, and put in its place once its digest is right. */
export const download = (node: NodeConfig, { id, service }: Json.Snapshot, place: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client: AgentClient = yield* (yield* Agents).connect(node, "bulk")
      const options = yield* acting
      const { through } = yield* watched
      const parts = through(Stream.map(client.exportServiceData({ service, snapshot: id }, options), partsOf))
      yield* (yield* LocalTree).write(place, { tree: false, mode: PRIVATE }, parts)
    })
  ).pipe(Effect.mapError((error) => (isRpcError(error) ? ofService(service)(at(node)(error)) : error)))
