import { Effect, Stream } from "effect"
import * as Ulid from "../domain/Ulid.ts"
import { Registry } from "../services/Registry.ts"
import { type ArchiveTotals, type LeftOut, ServiceData } from "../services/ServiceData.ts"
import { SnapshotNotFound, type SnapshotRecord, SnapshotStore } from "../services/SnapshotStore.ts"
import { archived, methodOf, prepared, recordOf, type SnapshotEvent } from "./createSnapshot.ts"
import { findService } from "./findService.ts"
import { SnapshotForeign, SnapshotTaken } from "./ProgramError.ts"
import { intoWhat, known, servingMeanwhile, usable } from "./snapshotScope.ts"

/** Also of services that the registry does not know: it may have been lost, or they were undeployed. */
export const listSnapshots = (service: string | undefined) =>
  Effect.gen(function* () {
    const store = yield* SnapshotStore
    if (service === undefined) return yield* store.list()
    yield* usable(service)
    const found = yield* store.list(service)
    if (found.length === 0) yield* findService(service)
    return found
  })

const findSnapshot = (service: string, id: string) =>
  Effect.gen(function* () {
    const found = (yield* listSnapshots(service)).find((each) => each.id === id)
    return found ?? (yield* new SnapshotNotFound({ service, snapshot: id }))
  })

export const removeSnapshot = (service: string, id: string, actor: string) =>
  Effect.gen(function* () {
    const snapshot = yield* findSnapshot(service, id)
    yield* (yield* SnapshotStore).remove(service, id)
    yield* (yield* Registry).recordEvent({
      ...{ service, component: "", kind: "snapshot", from: "", to: "removed", message: snapshot.id, actor }
    })
  })

export interface ExportRequest {
  readonly service: string
  /** Absent: one that is made on the way, and kept nowhere. */
  readonly snapshot: string | undefined
  readonly actor: string
  readonly wait: boolean
}

export type ExportEvent =
  /** The first; without size and digest where it is made on the way. */
  | {
      readonly _tag: "Start"
      readonly snapshot: Omit<SnapshotRecord, "sizeBytes" | "sha256"> & Partial<SnapshotRecord>
    }
  | { readonly _tag: "Bytes"; readonly bytes: Uint8Array }
  | { readonly _tag: "LeftOut"; readonly leftOut: LeftOut }
  /** The last. */
  | { readonly _tag: "End"; readonly totals: Partial<ArchiveTotals> }

type Tell = (event: ExportEvent) => Effect.Effect<void>

const exportStored = (service: string, id: string, tell: Tell) =>
  Effect.gen(function* () {
    const snapshot = yield* findSnapshot(service, id)
    const { bytes, files } = snapshot
    yield* tell({ _tag: "Start", snapshot })
    yield* Stream.runForEach((yield* SnapshotStore).read(snapshot), (piece) => tell({ _tag: "Bytes", bytes: piece }))
    yield* tell({ _tag: "End", totals: files === undefined || bytes === undefined ? {} : { files, bytes } })
  })

const exportNew = ({ actor, service, wait }: ExportRequest, tell: Tell) =>
  Effect.gen(function* () {
    yield* known(service)
    const leftOut = (event: SnapshotEvent) => (event._tag === "LeftOut" ? tell(event) : Effect.void)
    yield* servingMeanwhile(service, "an export", { wait, waiting: () => Effect.void })(
      Effect.gen(function* () {
        const row = yield* known(service)
        yield* prepared(row, leftOut)
        const { bytes, facts, header } = yield* archived(row, leftOut)
        const { sha256: _, sizeBytes: __, ...snapshot } = recordOf(header, methodOf(row), actor, nothingYet, undefined)
        yield* tell({ _tag: "Start", snapshot })
        yield* Stream.runForEach(bytes, (piece) => tell({ _tag: "Bytes", bytes: piece }))
        yield* tell({ _tag: "End", totals: (yield* facts).totals })
      })
    )
  })

const nothingYet = { sizeBytes: 0, sha256: "" }

/** `tell` waits for whoever reads: one that is slow holds up a snapshot that is made on the way, and its lock. */
export const exportData = (request: ExportRequest, tell: Tell) =>
  Effect.gen(function* () {
    const { service, snapshot } = request
    yield* snapshot === undefined ? exportNew(request, tell) : exportStored(service, snapshot, tell)
  }).pipe(Effect.annotateLogs({ service: request.service }))

/**
 * Takes an archive in as a snapshot of the service. Its first entry is looked at now, and all of it by the restore, before
 * anything is touched. Answers whether it was there already.
 */
export const importData = <E, R>(service: string, actor: string, bytes: Stream.Stream<Uint8Array, E, R>) =>
  Effect.gen(function* () {
    yield* intoWhat(service)
    const data = yield* ServiceData
    const store = yield* SnapshotStore
    const before = yield* store.list(service)
    const snapshot = yield* store.write(service, bytes, (written) =>
      Effect.gen(function* () {
        const header = yield* data.header(written.bytes)
        if (header.service !== service || !Ulid.is(header.id)) {
          return yield* new SnapshotForeign({ service, snapshot: header.id, of: header.service })
        }
        const there = before.find(({ id }) => id === header.id)
        if (there !== undefined && there.sha256 !== written.sha256) {
          return yield* new SnapshotTaken({ service, snapshot: header.id })
        }
        return there ?? recordOf(header, header.covers === "all" ? "full" : "known", actor, written, undefined)
      })
    )
    const isKnown = before.some(({ id }) => id === snapshot.id)
    if (!isKnown) {
      yield* (yield* Registry).recordEvent({
        ...{ service, component: "", kind: "snapshot", from: "", to: "taken in", message: snapshot.id, actor }
      })
    }
    return { snapshot, known: isKnown }
  }).pipe(Effect.annotateLogs({ service }))

/** What a killed agent was writing, at the start of the next one. */
export const sweepSnapshots = Effect.flatMap(SnapshotStore, (store) => store.sweep).pipe(
  Effect.catchAll((error) =>
    Effect.logWarning("what snapshots have left is not cleared").pipe(Effect.annotateLogs({ why: error.message }))
  )
)
