import { Clock, Effect, Exit } from "effect"
import * as Ulid from "../domain/Ulid.ts"
import { type DeploymentFailure, Registry, type RestoreRow } from "../services/Registry.ts"
import { type ArchiveTotals, ServiceData } from "../services/ServiceData.ts"
import { SnapshotNotFound, type SnapshotRecord, SnapshotStore } from "../services/SnapshotStore.ts"
import type { DeployEvent, DeployFailure } from "./DeployEvent.ts"
import { failureOf } from "./deployFailure.ts"
import { listSnapshots } from "./keptSnapshots.ts"
import { noteFailure } from "./noteFailure.ts"
import { SnapshotForeign } from "./ProgramError.ts"
import { step } from "./progress.ts"
import { clear, goBack, restoreEvent, startAll, stopAll, toRunAgain, toState } from "./restoring.ts"
import { intoWhat, nowAndThen, servingMeanwhile } from "./snapshotScope.ts"

export interface RestoreRequest {
  readonly service: string
  /** Absent: the newest. */
  readonly snapshot: string | undefined
  readonly actor: string
  /** Waits while another act is under way. */
  readonly wait: boolean
}

export interface RestoreResult {
  readonly restore: string
  readonly state: "succeeded" | "rolled_back"
  readonly failure: DeployFailure | undefined
  /** What ran before or waited for its next start, and runs again. */
  readonly started: ReadonlyArray<string>
  readonly durationMs: number
}

export type RestoreEvent =
  | { readonly _tag: "Waiting"; readonly holder: string }
  | { readonly _tag: "Snapshot"; readonly snapshot: SnapshotRecord }
  | { readonly _tag: "Progress"; readonly done: ArchiveTotals; readonly total: ArchiveTotals | undefined }
  | DeployEvent
  | { readonly _tag: "Restored"; readonly result: RestoreResult }

type Tell = (event: RestoreEvent) => Effect.Effect<void>

const chosen = ({ service, snapshot }: RestoreRequest) =>
  Effect.gen(function* () {
    const all = yield* listSnapshots(service)
    const found = snapshot === undefined ? all[0] : all.find(({ id }) => id === snapshot)
    return found ?? (yield* new SnapshotNotFound({ service, snapshot: snapshot ?? "" }))
  })

/** All of it unpacked beside the data and verified; the service runs on. */
const stage = (row: RestoreRow, snapshot: SnapshotRecord, tell: Tell) =>
  Effect.gen(function* () {
    const { id, service } = row
    const { bytes, files } = snapshot
    const total = files === undefined || bytes === undefined ? undefined : { files, bytes }
    const told = yield* nowAndThen((done: ArchiveTotals) => tell({ _tag: "Progress", done, total }))
    const store = yield* SnapshotStore
    const { header } = yield* (yield* ServiceData).stage(service, id, store.read(snapshot), told)
    if (header.service !== service) {
      return yield* new SnapshotForeign({ service, snapshot: snapshot.id, of: header.service })
    }
  })

/** From the first container that is stopped on there is an end to it, whoever listens: the new data or the old. */
const replaceWith = (row: RestoreRow, snapshot: SnapshotRecord, tell: Tell) =>
  Effect.gen(function* () {
    const { id, running, service } = row
    const registry = yield* Registry
    const data = yield* ServiceData
    yield* registry.putRestore({ ...row, state: "replacing" }, restoreEvent(row, "begun", snapshot.id))
    const failure = yield* Effect.gen(function* () {
      yield* stopAll(service, tell)
      yield* step(tell, "", "replace")(data.replace(service, id))
      yield* registry.putRestore({ ...row, state: "starting" })
      yield* startAll(service, running, tell)
    }).pipe(
      Effect.as(undefined),
      Effect.catchAll((error) => failureOf(error, []))
    )
    if (failure === undefined) {
      yield* toState(row, "succeeded", restoreEvent(row, "succeeded", snapshot.id))
      return undefined
    }
    const { nextStep: _, ...kept } = failure
    yield* goBack(row, kept satisfies DeploymentFailure, tell)
    return failure
  })

const restoreLocked = (request: RestoreRequest, tell: Tell, begin: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const { actor, service } = request
    const registry = yield* Registry
    const startedAt = yield* Clock.currentTimeMillis
    const snapshot = yield* chosen(request)
    yield* tell({ _tag: "Snapshot", snapshot })
    const id = yield* Ulid.make
    const row: RestoreRow = {
      ...{ id, service, snapshot: snapshot.id, actor, state: "staging", running: [], startedAt }
    }
    yield* registry.putRestore(row)
    // Cut off here, it has not been: nothing of the service is touched yet.
    yield* stage(row, snapshot, tell).pipe(
      step(tell, "", "stage"),
      Effect.zipRight(begin),
      Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : clear(row)))
    )
    const running = yield* Effect.tapError(toRunAgain(service), () => clear(row))
    const failure = yield* Effect.tapError(replaceWith({ ...row, running }, snapshot, tell), () => clear(row))
    yield* clear(row)
    const result: RestoreResult = {
      restore: id,
      state: failure === undefined ? "succeeded" : "rolled_back",
      failure,
      started: running,
      durationMs: (yield* Clock.currentTimeMillis) - startedAt
    }
    yield* tell({ _tag: "Restored", result })
    return result
  })

/**
 * Puts a service's data back as a snapshot has it: verified first, while all runs; then what runs is stopped, the data
 * replaced and started again. What does not become ready gets the data back that it had. `begin` is asked before anything
 * of the service is touched: from then on it goes on to its end.
 */
export const restore = (request: RestoreRequest, tell: Tell, begin: Effect.Effect<void> = Effect.void) =>
  Effect.gen(function* () {
    const { actor, service, wait } = request
    yield* chosen(request)
    yield* intoWhat(service)
    return yield* servingMeanwhile(service, "a restore", {
      wait,
      waiting: (holder) => tell({ _tag: "Waiting", holder })
    })(
      Effect.zipRight(
        intoWhat(service),
        Effect.tapError(restoreLocked(request, tell, begin), (error) =>
          noteFailure({ service, component: "", kind: "restore", from: "", to: "failed", actor }, error)
        )
      )
    )
  }).pipe(Effect.annotateLogs({ service: request.service }))
