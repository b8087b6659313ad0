import { Effect, Stream } from "effect"
import type {
  ListFilesRequest,
  PullFileRequest,
  PushFileRequest,
  PushStart,
  RemovePathRequest
} from "../../gen/mcp/v1/mcp_pb.ts"
import { decodeEntry, decodeParts, encodeListed, encodePull } from "../../grpc/fileParts.ts"
import { Code, RpcError } from "../../grpc/status.ts"
import * as files from "../../programs/files.ts"
import { authorize } from "../CallerContext.ts"
import { firstOf } from "../firstOf.ts"

const malformed = (reason: string, detail: string) =>
  new RpcError({
    code: Code.INVALID_ARGUMENT,
    reason,
    detail,
    nextStep: "mcp push LOCAL <service> sends what is needed"
  })

const optionsOf = ({ mode, tree }: PushStart) => ({ tree, mode })

export const pushFile = (requests: Stream.Stream<PushFileRequest, RpcError>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { all, first } = yield* firstOf(requests)
      const start = first?.start
      if (start === undefined) {
        return yield* malformed("START_MISSING", "the first message does not say where to write")
      }
      yield* authorize(start.service)
      if (start.mode !== undefined && start.mode > 0o777) {
        return yield* malformed("MODE_REFUSED", "a mode has permission bits only, up to 0777")
      }
      if (start.askHeld !== undefined) {
        const held = yield* files.heldOf(start.service, start.path, decodeEntry(start.askHeld))
        return { held: BigInt(held.bytes), heldSha256: held.sha256 }
      }
      const received = yield* files.pushFiles(start.service, start.path, optionsOf(start), Stream.map(all, decodeParts))
      return { files: BigInt(received.files), bytes: BigInt(received.bytes) }
    })
  )

export const pullFile = (request: PullFileRequest) =>
  Stream.unwrap(
    Effect.as(
      authorize(request.service),
      files.pullFiles(
        request.service,
        request.path,
        request.tree,
        request.held === 0n ? undefined : { bytes: Number(request.held), sha256: request.heldSha256 }
      )
    )
  ).pipe(Stream.map(encodePull))

export const listFiles = (request: ListFilesRequest) =>
  Effect.gen(function* () {
    yield* authorize(request.service)
    const { entries, more } = yield* files.listFiles(request.service, request.path, request.after)
    return { entries: entries.map(encodeListed), more }
  })

export const removePath = (request: RemovePathRequest) =>
  Effect.gen(function* () {
    yield* authorize(request.service)
    const removed = yield* files.removePath(request.service, request.path, request.recursive)
    return { removed: BigInt(removed) }
  })
