import { Context, type Effect, Schema, type Stream } from "effect"

/** How a snapshot was made: the definition's cmd first and then all files, all files, or the known ones alone. */
export const SnapshotMethod = Schema.Literal("exec", "full", "known")
export type SnapshotMethod = typeof SnapshotMethod.Type

/** What is known of one snapshot of a service's data. It lies beside the archive, so that no registry is needed. */
export const SnapshotRecord = Schema.Struct({
  version: Schema.Literal(1),
  id: Schema.String,
  service: Schema.String,
  /** Where it was made. */
  node: Schema.String,
  /** Milliseconds since 1970. */
  createdAt: Schema.Number,
  method: SnapshotMethod,
  /** Absent: it came from elsewhere, and what it says of itself does not tell. */
  files: Schema.optional(Schema.Number),
  /** Of the files, before they are packed. */
  bytes: Schema.optional(Schema.Number),
  /** Of the archive. */
  sizeBytes: Schema.Number,
  /** Of the archive, in hex. */
  sha256: Schema.String,
  actor: Schema.String,
  leftOut: Schema.Array(Schema.Struct({ path: Schema.String, why: Schema.String }))
})
export type SnapshotRecord = typeof SnapshotRecord.Type

/** The disk is full; what was there before is whole. */
export class SnapshotDiskFull extends Schema.TaggedError<SnapshotDiskFull>()("SnapshotDiskFull", {
  folder: Schema.String
}) {
  override get message() {
    return `the disk of ${this.folder} is full: this snapshot is not kept, and those before it are whole`
  }
}

/** The file system says no. */
export class SnapshotUnusable extends Schema.TaggedError<SnapshotUnusable>()("SnapshotUnusable", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.why}`
  }
}

export class SnapshotNotFound extends Schema.TaggedError<SnapshotNotFound>()("SnapshotNotFound", {
  service: Schema.String,
  /** Empty: there is none at all. */
  snapshot: Schema.String
}) {
  override get message() {
    return this.snapshot === ""
      ? `there is no snapshot of ${this.service} on this node`
      : `there is no snapshot ${this.snapshot} of ${this.service} on this node`
  }
}

/** What lies there is not what was written. */
export class SnapshotDamaged extends Schema.TaggedError<SnapshotDamaged>()("SnapshotDamaged", {
  service: Schema.String,
  snapshot: Schema.String
}) {
  override get message() {
    return `the snapshot ${this.snapshot} of ${this.service} is damaged: its file has not the digest that it was written with`
  }
}

export type SnapshotStoreError = SnapshotDiskFull | SnapshotUnusable

/** A file that is written and has no name yet. */
export interface Written {
  readonly sizeBytes: number
  /** In hex. */
  readonly sha256: string
  readonly bytes: Stream.Stream<Uint8Array, SnapshotUnusable>
}

/** Snapshots of the data of this node's services, as files of the agent's own. */
export class SnapshotStore extends Context.Tag("mcp/SnapshotStore")<
  SnapshotStore,
  {
    /**
     * Durable and whole under the record's id, or not there at all. `describe` is asked once all bytes are written; where
     * there is one of that id already, what was written is dropped.
     */
    readonly write: <E, R, E2, R2>(
      service: string,
      bytes: Stream.Stream<Uint8Array, E, R>,
      describe: (written: Written) => Effect.Effect<SnapshotRecord, E2, R2>
    ) => Effect.Effect<SnapshotRecord, SnapshotStoreError | E | E2, R | R2>
    /** Fails at the end when it is not what was written. */
    readonly read: (
      record: SnapshotRecord
    ) => Stream.Stream<Uint8Array, SnapshotNotFound | SnapshotUnusable | SnapshotDamaged>
    /** By service, newest first; of one, or of all when none is named. */
    readonly list: (service?: string) => Effect.Effect<ReadonlyArray<SnapshotRecord>, SnapshotUnusable>
    /** Succeeds when it is gone already. */
    readonly remove: (service: string, id: string) => Effect.Effect<void, SnapshotUnusable>
    /** Drops what writers that were cut off have left; to be called while nobody writes. */
    readonly sweep: Effect.Effect<void, SnapshotUnusable>
  }
>() {}
