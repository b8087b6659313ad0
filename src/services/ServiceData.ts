import { Context, type Effect, Schema, type Stream } from "effect"
import type { FileError } from "./FileTransfer.ts"

/** What an archive says of itself, in its first entry. */
export const ArchiveHeader = Schema.Struct({
  /** Of this form of archives. */
  version: Schema.Literal(1),
  id: Schema.String,
  service: Schema.String,
  node: Schema.String,
  /** Milliseconds since 1970. */
  createdAt: Schema.Number,
  /** `all`: every file; `known`: *.toml, *.db and *.pem alone. A restore replaces what is covered, and nothing else. */
  covers: Schema.Literal("all", "known"),
  excludes: Schema.Array(Schema.String)
})
export type ArchiveHeader = typeof ArchiveHeader.Type

/** It is damaged, cut, or none at all; nothing of the service's data has been touched. */
export class ArchiveUnusable extends Schema.TaggedError<ArchiveUnusable>()("ArchiveUnusable", {
  why: Schema.String
}) {
  override get message() {
    return `the snapshot cannot be used: ${this.why}; the data is as it was`
  }
}

/** The program that packs or unpacks could not be run. */
export class ArchiverUnusable extends Schema.TaggedError<ArchiverUnusable>()("ArchiverUnusable", {
  why: Schema.String
}) {
  override get message() {
    return `zstd cannot be run: ${this.why}`
  }
}

/** A SQLite database of the service cannot be copied as one state. */
export class DatabaseNotCopied extends Schema.TaggedError<DatabaseNotCopied>()("DatabaseNotCopied", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the database ${this.path} could not be copied: ${this.why}`
  }
}

export interface ArchiveTotals {
  readonly files: number
  /** Of the files, before they are packed. */
  readonly bytes: number
}

export interface LeftOut {
  /** As people see it. */
  readonly path: string
  readonly why: string
}

export type ArchiveEvent =
  /** Packed: a piece of a tar.zst. */
  | { readonly _tag: "Bytes"; readonly bytes: Uint8Array }
  | { readonly _tag: "Progress"; readonly done: ArchiveTotals; readonly total: ArchiveTotals }
  | { readonly _tag: "LeftOut"; readonly leftOut: LeftOut }
  /** The last one. */
  | { readonly _tag: "Done"; readonly totals: ArchiveTotals }

/**
 * A service's data, `<files_root>/<service>/`, as one archive and back. Confined as FileTransfer is. What is restored is
 * unpacked beside the data first (`stage`), then takes its place (`replace`), and what was there is kept aside until
 * `discard`; each of these may be said again after a crash and goes on where it was.
 */
export class ServiceData extends Context.Tag("mcp/ServiceData")<
  ServiceData,
  {
    /** A consistent tar.zst of what the header covers; SQLite databases as one state each. */
    readonly archive: (
      header: ArchiveHeader
    ) => Stream.Stream<ArchiveEvent, FileError | ArchiverUnusable | DatabaseNotCopied>
    /** What an archive says of itself; the rest of it is not looked at. */
    readonly header: <E, R>(
      bytes: Stream.Stream<Uint8Array, E, R>
    ) => Effect.Effect<ArchiveHeader, ArchiveUnusable | ArchiverUnusable | E, R>
    /** Unpacks and verifies all of it under `restore`, a ULID. Touches nothing of the data; a failure leaves no litter. */
    readonly stage: <E, R>(
      service: string,
      restore: string,
      bytes: Stream.Stream<Uint8Array, E, R>,
      told: (done: ArchiveTotals) => Effect.Effect<void>
    ) => Effect.Effect<
      { readonly header: ArchiveHeader; readonly totals: ArchiveTotals },
      FileError | ArchiveUnusable | ArchiverUnusable | E,
      R
    >
    /** What is covered goes aside, what was staged takes its place. */
    readonly replace: (service: string, restore: string) => Effect.Effect<void, FileError>
    /** What went aside is where it was. */
    readonly putBack: (service: string, restore: string) => Effect.Effect<void, FileError>
    /** Drops what was staged or went aside, of this restore; of all when none is named. */
    readonly discard: (service: string, restore: string | undefined) => Effect.Effect<void, FileError>
  }
>() {}
