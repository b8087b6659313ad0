import type { MessageInitShape } from "@bufbuild/protobuf"
import { Effect, Stream } from "effect"
import type { FilePart } from "../../../domain/FileParts.ts"
import { ImportServiceDataRequestSchema } from "../../../gen/mcp/v1/mcp_pb.ts"
import { encoded, field } from "../../../grpc/encoded.ts"
import { Agents, type NodeConfig } from "../../../services/Agents.ts"
import { FileChanged } from "../../../services/FileTransfer.ts"
import { LocalTree } from "../../../services/LocalTree.ts"
import { acting, at, isRpcError, ofService } from "../../nodes.ts"
import { watched } from "../../transfer.ts"
import { row } from "./words.ts"

type Request = MessageInitShape<typeof ImportServiceDataRequestSchema>

const messageOf = (path: string) => {
  let begun = false
  return (part: FilePart): Effect.Effect<ReadonlyArray<Request>, FileChanged> => {
    switch (part._tag) {
      case "Entry":
        // It changed while it was read, and is read anew: what was sent cannot be taken back.
        if (begun) return new FileChanged({ path })
        begun = true
        return Effect.succeed([])
      case "Data":
        return Effect.succeed([
          encoded(
            ImportServiceDataRequestSchema,
            Buffer.concat(field(ImportServiceDataRequestSchema.field.data.number, part.bytes))
          )
        ])
      case "End":
        return Effect.succeed([{ message: { case: "endSha256", value: part.sha256 } }])
      default:
        return Effect.succeed([])
    }
  }
}

/** The node takes the file in as a snapshot. */
export const upload = (node: NodeConfig, service: string, path: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* (yield* Agents).connect(node, "bulk")
      const options = yield* acting
      const { through } = yield* watched
      const parts = through((yield* LocalTree).read(path, false, undefined))
      const sent = parts.pipe(
        Stream.mapConcat((some) => some),
        Stream.mapEffect(messageOf(path)),
        Stream.mapConcat((some) => some)
      )
      const start: Request = { message: { case: "start", value: { service } } }
      const { snapshot } = yield* client.importServiceData(Stream.concat(Stream.succeed(start), sent), options)
      return snapshot === undefined ? yield* Effect.dieMessage("no snapshot in the answer") : row(snapshot, node.name)
    })
  ).pipe(Effect.mapError((error) => (isRpcError(error) ? ofService(service)(at(node)(error)) : error)))
