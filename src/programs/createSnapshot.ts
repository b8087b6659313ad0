import { Clock, Effect, Option, Ref, Stream } from "effect"
import * as Ulid from "../domain/Ulid.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Registry, type ServiceRow } from "../services/Registry.ts"
import { type ArchiveHeader, type ArchiveTotals, type LeftOut, ServiceData } from "../services/ServiceData.ts"
import { type SnapshotMethod, type SnapshotRecord, SnapshotStore, type Written } from "../services/SnapshotStore.ts"
import { noteFailure } from "./noteFailure.ts"
import { runCommand } from "./snapshotCommand.ts"
import { known, nowAndThen, servingMeanwhile } from "./snapshotScope.ts"

export type SnapshotEvent =
  | { readonly _tag: "Waiting"; readonly holder: string }
  | { readonly _tag: "Command"; readonly component: string }
  | { readonly _tag: "Progress"; readonly done: ArchiveTotals; readonly total: ArchiveTotals }
  | { readonly _tag: "LeftOut"; readonly leftOut: LeftOut }
  | { readonly _tag: "Made"; readonly snapshot: SnapshotRecord; readonly removed: ReadonlyArray<string> }

type Tell = (event: SnapshotEvent) => Effect.Effect<void>

export interface SnapshotRequest {
  readonly service: string
  readonly actor: string
  readonly wait: boolean
  /** Of the older ones of the service, as many stay; all when absent. */
  readonly keep: number | undefined
}

export const methodOf = ({ spec }: ServiceRow): SnapshotMethod => spec.snapshot?.method ?? "known"

/** Kept with the snapshot; more would be a list that nobody reads. */
const mostLeftOut = 100

export interface Facts {
  readonly totals: ArchiveTotals
  readonly leftOut: ReadonlyArray<LeftOut>
}

/** The archive as it is made, and what is to be said of it once its last byte has been read. */
export const archived = (row: ServiceRow, tell: Tell) =>
  Effect.gen(function* () {
    const { node } = yield* NodeInfo
    const header: ArchiveHeader = {
      version: 1,
      id: yield* Ulid.make,
      service: row.service,
      node,
      createdAt: yield* Clock.currentTimeMillis,
      covers: methodOf(row) === "known" ? "known" : "all",
      excludes: row.spec.snapshot?.excludes ?? []
    }
    const data = yield* ServiceData
    const facts = yield* Ref.make<Facts>({ totals: { files: 0, bytes: 0 }, leftOut: [] })
    const progress = yield* nowAndThen(tell)
    const bytes = data.archive(header).pipe(
      Stream.tap((event) => {
        switch (event._tag) {
          case "Bytes":
            return Effect.void
          case "Progress":
            return progress(event)
          case "LeftOut":
            return Effect.zipRight(
              Ref.update(facts, (now) => ({ ...now, leftOut: [...now.leftOut, event.leftOut].slice(0, mostLeftOut) })),
              tell(event)
            )
          case "Done":
            return Effect.zipRight(
              Ref.update(facts, (now) => ({ ...now, totals: event.totals })),
              tell({ _tag: "Progress", done: event.totals, total: event.totals })
            )
        }
      }),
      Stream.filterMap((event) => (event._tag === "Bytes" ? Option.some(event.bytes) : Option.none()))
    )
    return { header, bytes, facts: Ref.get(facts) }
  })

export const recordOf = (
  { createdAt, id, node, service }: ArchiveHeader,
  method: SnapshotMethod,
  actor: string,
  written: Pick<Written, "sizeBytes" | "sha256">,
  facts: Facts | undefined
): SnapshotRecord => ({
  ...{ version: 1, id, service, node, createdAt, method, actor },
  ...(facts === undefined ? {} : facts.totals),
  ...{ sizeBytes: written.sizeBytes, sha256: written.sha256, leftOut: facts?.leftOut ?? [] }
})

/** What the definition says comes before the copy. */
export const prepared = (row: ServiceRow, tell: Tell) =>
  Effect.gen(function* () {
    const { snapshot } = row.spec
    if (snapshot?.method !== "exec" || snapshot.component === undefined) return
    yield* tell({ _tag: "Command", component: snapshot.component })
    yield* runCommand(row.service, snapshot.component, snapshot.cmd)
  })

const described = ({ files = 0, id }: SnapshotRecord) => `${id}, ${files} file${files === 1 ? "" : "s"}`

/** A snapshot that is whole already. The older ones go last; one that does not go is no reason to fail. */
const thinned = ({ id: made, service }: SnapshotRecord, keep: number | undefined) =>
  Effect.gen(function* () {
    if (keep === undefined) return []
    const store = yield* SnapshotStore
    // A clock that was set back, or one from elsewhere, has newer ids; what has just been made stays all the same.
    const others = (yield* store.list(service)).map(({ id }) => id).filter((id) => id !== made)
    const old = others.slice(keep - 1)
    yield* Effect.forEach(old, (id) => store.remove(service, id), { discard: true })
    return old
  }).pipe(
    Effect.catchAll((error) =>
      Effect.as(
        Effect.logWarning("older snapshots are not removed").pipe(Effect.annotateLogs({ service, why: error.message })),
        []
      )
    )
  )

const createLocked = ({ actor, keep, service }: SnapshotRequest, tell: Tell) =>
  Effect.gen(function* () {
    const row = yield* known(service)
    yield* prepared(row, tell)
    const { bytes, facts, header } = yield* archived(row, tell)
    const store = yield* SnapshotStore
    const snapshot = yield* store.write(service, bytes, (written) =>
      Effect.map(facts, (all) => recordOf(header, methodOf(row), actor, written, all))
    )
    const removed = yield* thinned(snapshot, keep)
    yield* (yield* Registry).recordEvent({
      ...{ service, component: "", kind: "snapshot", from: "", to: "made", message: described(snapshot), actor }
    })
    yield* tell({ _tag: "Made", snapshot, removed })
    return snapshot
  })

/** Copies a service's data, as its stored spec says, into an archive that the node keeps. */
export const createSnapshot = (request: SnapshotRequest, tell: Tell) =>
  Effect.gen(function* () {
    const { actor, service, wait } = request
    yield* known(service)
    const waits = { wait, waiting: (holder: string) => tell({ _tag: "Waiting", holder }) }
    return yield* servingMeanwhile(
      service,
      "a snapshot",
      waits
    )(
      Effect.tapError(createLocked(request, tell), (error) =>
        noteFailure({ service, component: "", kind: "snapshot", from: "", to: "failed", actor }, error)
      )
    )
  }).pipe(Effect.annotateLogs({ service: request.service }))
