import { Context, type Effect, Schema } from "effect"
import type { RegistryLocked, RegistryTooNew } from "./RegistryError.ts"

/** What a snapshot of the registry holds. */
export interface SnapshotFacts {
  /** ULID of the registry. */
  readonly registry: string
  readonly schemaVersion: number
  readonly services: number
  readonly deployments: number
  readonly bytes: number
  /** Files of the data folder that belong to the registry and lie beside the snapshot, by their names there. */
  readonly beside: ReadonlyArray<string>
}

export class SnapshotFailed extends Schema.TaggedError<SnapshotFailed>()("SnapshotFailed", {
  file: Schema.String,
  why: Schema.String,
  nextStep: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.why}\n  next: ${this.nextStep}`
  }
}

/** Copies of the registry's database, on this machine's disk. */
export class Snapshots extends Context.Tag("mcp/Snapshots")<
  Snapshots,
  {
    readonly isFolder: (path: string) => Effect.Effect<boolean>
    /** A whole copy of a database that may be in use; never over a file that is there. */
    readonly take: (database: string, file: string) => Effect.Effect<SnapshotFacts, SnapshotFailed>
    /** The names of the files in a folder. */
    readonly names: (folder: string) => Effect.Effect<ReadonlyArray<string>, SnapshotFailed>
    /** With what lies beside it. */
    readonly remove: (file: string) => Effect.Effect<void, SnapshotFailed>
    /**
     * Checks the snapshot and puts it in the database's place. Answers where the old one is kept, when there was one.
     * Refused while an agent holds the database.
     */
    readonly restore: (
      file: string,
      database: string
    ) => Effect.Effect<
      { readonly facts: SnapshotFacts; readonly kept: ReadonlyArray<string> },
      SnapshotFailed | RegistryLocked | RegistryTooNew
    >
  }
>() {}
