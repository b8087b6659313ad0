import { createHash } from "node:crypto"
import type { MessageInitShape } from "@bufbuild/protobuf"
import { timestampFromMs } from "@bufbuild/protobuf/wkt"
import { Effect, Option, Ref, Stream } from "effect"
import * as pb from "../../gen/mcp/v1/mcp_pb.ts"
import { encoded, field } from "../../grpc/encoded.ts"
import { Code, RpcError } from "../../grpc/status.ts"
import { createSnapshot, type SnapshotEvent } from "../../programs/createSnapshot.ts"
import {
  type ExportEvent,
  exportData,
  importData,
  listSnapshots,
  removeSnapshot
} from "../../programs/keptSnapshots.ts"
import { type RestoreEvent, restore } from "../../programs/restore.ts"
import type { ArchiveTotals } from "../../services/ServiceData.ts"
import type { SnapshotRecord } from "../../services/SnapshotStore.ts"
import { authorize, CallerContext, visible } from "../CallerContext.ts"
import { deployEvent } from "../encode.ts"
import { firstOf } from "../firstOf.ts"
import { tellingOnceBegun, whileListening } from "../telling.ts"

type Init<S extends Parameters<typeof encoded>[0]> = MessageInitShape<S>

const count = (n: number | undefined) => (n === undefined ? undefined : BigInt(n))

const info = (
  record: Omit<SnapshotRecord, "sizeBytes" | "sha256"> & Partial<SnapshotRecord>
): Init<typeof pb.SnapshotInfoSchema> => {
  const { actor, bytes, createdAt, files, id, leftOut, method, node, service, sha256, sizeBytes } = record
  return {
    ...{ service, id, node, method, actor },
    createdAt: timestampFromMs(createdAt),
    size: BigInt(sizeBytes ?? 0),
    sha256: Buffer.from(sha256 ?? "", "hex"),
    leftOut: leftOut.length,
    ...(files === undefined ? {} : { files: BigInt(files) }),
    ...(bytes === undefined ? {} : { bytes: BigInt(bytes) })
  }
}

const progress = (done: ArchiveTotals, total: ArchiveTotals | undefined): Init<typeof pb.SnapshotProgressSchema> => ({
  files: BigInt(done.files),
  bytes: BigInt(done.bytes),
  totalFiles: count(total?.files) ?? 0n,
  totalBytes: count(total?.bytes) ?? 0n
})

const created = (event: SnapshotEvent): Init<typeof pb.CreateSnapshotResponseSchema> => {
  switch (event._tag) {
    case "Waiting":
      return { event: { case: "waiting", value: event.holder } }
    case "Command":
      return { event: { case: "command", value: event.component } }
    case "Progress":
      return { event: { case: "progress", value: progress(event.done, event.total) } }
    case "LeftOut":
      return { event: { case: "leftOut", value: event.leftOut } }
    case "Made":
      return {
        event: { case: "result", value: { snapshot: info(event.snapshot), removed: [...event.removed] } }
      }
  }
}

const restored = (event: RestoreEvent): Init<typeof pb.RestoreSnapshotResponseSchema> => {
  switch (event._tag) {
    case "Waiting":
      return { event: { case: "waiting", value: event.holder } }
    case "Snapshot":
      return { event: { case: "snapshot", value: info(event.snapshot) } }
    case "Progress":
      return { event: { case: "progress", value: progress(event.done, event.total) } }
    case "Restored": {
      const { durationMs, failure, started, ...rest } = event.result
      const value = {
        ...{ ...rest, started: [...started], durationMs: BigInt(durationMs) },
        ...(failure === undefined ? {} : { failure: { ...failure, lastLogs: [...failure.lastLogs] } })
      }
      return { event: { case: "result", value } }
    }
    default: {
      const { event: told } = deployEvent(event)
      return told?.case === "step" ? { event: { case: "step", value: told.value } } : {}
    }
  }
}

/** Encoded by hand, as other large pieces are. */
const piece = (bytes: Uint8Array): Init<typeof pb.ExportServiceDataResponseSchema> =>
  encoded(
    pb.ExportServiceDataResponseSchema,
    Buffer.concat(field(pb.ExportServiceDataResponseSchema.field.data.number, bytes))
  )

/** The digest is that of what was sent. */
const exporting = () => {
  const hash = createHash("sha256")
  let size = 0
  let first: Extract<ExportEvent, { _tag: "Start" }>["snapshot"] | undefined
  return (event: ExportEvent): Init<typeof pb.ExportServiceDataResponseSchema> => {
    switch (event._tag) {
      case "Start":
        first = event.snapshot
        return { message: { case: "start", value: info(first) } }
      case "Bytes":
        hash.update(event.bytes)
        size += event.bytes.length
        return piece(event.bytes)
      case "LeftOut":
        return { message: { case: "leftOut", value: event.leftOut } }
      case "End": {
        const whole = { sizeBytes: size, sha256: hash.digest("hex"), ...event.totals }
        return first === undefined ? {} : { message: { case: "end", value: info({ ...first, ...whole }) } }
      }
    }
  }
}

const caller = (service: string) =>
  Effect.flatMap(authorize(service), () => Effect.map(CallerContext, ({ who }) => who.username))

const malformed = (reason: string, detail: string) =>
  new RpcError({
    code: Code.INVALID_ARGUMENT,
    reason,
    detail,
    nextStep: "mcp snapshot restore <service> --file FILE sends what is needed"
  })

const cutOff = new RpcError({
  code: Code.DATA_LOSS,
  reason: "TRANSFER_BROKEN",
  detail: "the archive was cut off, or is not what was sent; nothing of it is kept",
  nextStep: "try again"
})

/** The archive's bytes; they end well only with their digest. */
const archiveOf = (requests: Stream.Stream<pb.ImportServiceDataRequest, RpcError>) =>
  Stream.unwrap(
    Effect.map(Ref.make({ hash: createHash("sha256"), whole: false }), (state) => {
      const bytes = requests.pipe(
        Stream.mapEffect(({ message }) =>
          Effect.gen(function* () {
            const now = yield* Ref.get(state)
            if (now.whole) return yield* malformed("END_PASSED", "more came after the digest")
            if (message.case === "data") {
              now.hash.update(message.value)
              return Option.some(message.value)
            }
            if (message.case !== "endSha256") return yield* malformed("DATA_MALFORMED", "neither data nor a digest")
            if (!now.hash.digest().equals(message.value)) return yield* cutOff
            yield* Ref.set(state, { ...now, whole: true })
            return Option.none<Uint8Array>()
          })
        ),
        Stream.filterMap((one) => one)
      )
      const end = Stream.unwrap(Effect.map(Ref.get(state), ({ whole }) => (whole ? Stream.empty : Stream.fail(cutOff))))
      return Stream.concat(bytes, end)
    })
  )

export const snapshotCalls = {
  createSnapshot: ({ keep, service, waitForLock }: pb.CreateSnapshotRequest) =>
    Stream.unwrap(
      Effect.map(caller(service), (actor) =>
        whileListening<SnapshotEvent, Effect.Effect.Context<ReturnType<typeof createSnapshot>>>((tell) =>
          createSnapshot({ service, actor, wait: waitForLock, keep: keep === 0 ? undefined : keep }, tell)
        )
      )
    ).pipe(Stream.map(created)),
  listSnapshots: ({ service }: pb.ListSnapshotsRequest) =>
    Effect.gen(function* () {
      if (service !== "") yield* authorize(service)
      const sees = yield* visible
      const all = yield* listSnapshots(service === "" ? undefined : service)
      return { snapshots: all.filter((one) => sees(one.service)).map(info) }
    }),
  restoreSnapshot: ({ service, snapshot, waitForLock }: pb.RestoreSnapshotRequest) =>
    Stream.unwrap(
      Effect.map(caller(service), (actor) =>
        tellingOnceBegun<RestoreEvent, Effect.Effect.Context<ReturnType<typeof restore>>>((tell, begin) =>
          restore({ service, snapshot: snapshot === "" ? undefined : snapshot, actor, wait: waitForLock }, tell, begin)
        )
      )
    ).pipe(Stream.map(restored)),
  removeSnapshot: ({ service, snapshot }: pb.RemoveSnapshotRequest) =>
    Effect.as(
      Effect.flatMap(caller(service), (actor) => removeSnapshot(service, snapshot, actor)),
      {}
    ),
  exportServiceData: ({ service, snapshot, waitForLock }: pb.ExportServiceDataRequest) =>
    Stream.unwrap(
      Effect.map(caller(service), (actor) =>
        whileListening<ExportEvent, Effect.Effect.Context<ReturnType<typeof exportData>>>((tell) =>
          exportData({ service, snapshot: snapshot === "" ? undefined : snapshot, actor, wait: waitForLock }, tell)
        ).pipe(Stream.map(exporting()))
      )
    ),
  importServiceData: (requests: Stream.Stream<pb.ImportServiceDataRequest, RpcError>) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { first, rest } = yield* firstOf(requests)
        const message = first?.message
        if (message?.case !== "start") {
          return yield* malformed("START_MISSING", "the first message does not say whose data it is")
        }
        const { service } = message.value
        const actor = yield* caller(service)
        const { known, snapshot } = yield* importData(service, actor, archiveOf(rest))
        return { snapshot: info(snapshot), known }
      })
    )
}
