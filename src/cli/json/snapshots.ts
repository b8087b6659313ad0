import { Schema } from "effect"
import { Failure } from "./acting.ts"
import { MaybeNumber, MaybeText, Time, unreachable_nodes } from "./fields.ts"

/* What commands print of snapshots of services' data. */

export const Snapshot = Schema.Struct({
  service: Schema.String,
  id: Schema.String,
  /** Where it lies. */
  node: Schema.String,
  made_on: Schema.String,
  made_by: Schema.String,
  created_at: Time,
  /** `exec`, `full` or `known`. */
  method: Schema.String,
  /** Of the archive. */
  size_bytes: Schema.JsonNumber,
  sha256: Schema.String,
  /** Null: it came from elsewhere and does not tell. */
  files: MaybeNumber,
  bytes: MaybeNumber,
  /** How many files. */
  left_out: Schema.JsonNumber
})
export type Snapshot = typeof Snapshot.Type

export const Snapshots = Schema.Struct({ snapshots: Schema.Array(Snapshot), unreachable_nodes })

export const SnapshotMade = Schema.Struct({
  snapshot: Snapshot,
  left_out: Schema.Array(Schema.Struct({ path: Schema.String, reason: Schema.String })),
  /** Ids of older ones, by `--keep`. */
  removed: Schema.Array(Schema.String),
  /** The file on this machine, with `--output`. */
  output: MaybeText,
  took_ms: Schema.JsonNumber
})

export const SnapshotRemoved = Schema.Struct({ service: Schema.String, id: Schema.String, node: Schema.String })

export const SnapshotRestored = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  snapshot: Snapshot,
  /** The file that it was taken in from, with `--file`. */
  file: MaybeText,
  /** `rolled_back`: the data is as it was before. */
  state: Schema.Literal("succeeded", "rolled_back", "failed"),
  /** What ran before, and runs again. */
  started: Schema.Array(Schema.String),
  duration_ms: Schema.JsonNumber,
  failure: Schema.NullOr(
    Schema.Struct({ ...Failure.fields, component: MaybeText, last_logs: Schema.Array(Schema.String) })
  )
})
