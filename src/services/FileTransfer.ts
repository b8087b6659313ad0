import { Context, type Effect, Schema, type Stream } from "effect"
import type { FileEntry, FileParts, Held, Received } from "../domain/FileParts.ts"

/** A path that leads out of the service's own folder, or that could. */
export class PathOutsideRoot extends Schema.TaggedError<PathOutsideRoot>()("PathOutsideRoot", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.path} ${this.why}`
  }
}

export class FileNotFound extends Schema.TaggedError<FileNotFound>()("FileNotFound", { path: Schema.String }) {
  override get message() {
    return `there is no ${this.path}`
  }
}

/** What is there is not what the caller takes it for. */
export class FileRefused extends Schema.TaggedError<FileRefused>()("FileRefused", {
  path: Schema.String,
  why: Schema.String,
  nextStep: Schema.String
}) {
  override get message() {
    return `${this.path} ${this.why}`
  }
}

/** It changed while it was read, and did again. */
export class FileChanged extends Schema.TaggedError<FileChanged>()("FileChanged", { path: Schema.String }) {
  override get message() {
    return `${this.path} keeps changing while it is read`
  }
}

/** What came is not what was sent, or not all of it; the old file is whole. */
export class TransferBroken extends Schema.TaggedError<TransferBroken>()("TransferBroken", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.why}; what was there before is as it was`
  }
}

export class FilesDiskFull extends Schema.TaggedError<FilesDiskFull>()("FilesDiskFull", { path: Schema.String }) {
  override get message() {
    return `the disk is full: ${this.path} is as it was before`
  }
}

/** The file system says no. */
export class FileUnusable extends Schema.TaggedError<FileUnusable>()("FileUnusable", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.why}`
  }
}

export type FileError =
  | PathOutsideRoot
  | FileNotFound
  | FileRefused
  | FileChanged
  | TransferBroken
  | FilesDiskFull
  | FileUnusable

export interface PushOptions {
  /** Folders with what lies in them; else one file. */
  readonly tree: boolean
  /** Of all files; else as the source has it, and as it was for a file that is replaced. */
  readonly mode: number | undefined
}

export interface ListedFile extends FileEntry {
  readonly uid: number
  readonly gid: number
}

/** Files below `<files_root>/<service>/`, and nowhere else. Whether the service is known is not asked here. */
export class FileTransfer extends Context.Tag("mcp/FileTransfer")<
  FileTransfer,
  {
    /** Each file is replaced whole once its digest is right; those before one that fails stay replaced. */
    readonly push: <E, R>(
      service: string,
      path: Uint8Array,
      options: PushOptions,
      parts: Stream.Stream<FileParts, E, R>
    ) => Effect.Effect<Received, FileError | E, R>
    /** What a push that was cut has left of this file. */
    readonly held: (service: string, path: Uint8Array, source: FileEntry) => Effect.Effect<Held, FileError>
    readonly pull: (
      service: string,
      path: Uint8Array,
      tree: boolean,
      held: Held | undefined
    ) => Stream.Stream<FileParts, FileError>
    /** The files of a folder by name, from the one after `after`. */
    readonly list: (
      service: string,
      path: Uint8Array,
      after: Uint8Array
    ) => Effect.Effect<{ readonly entries: ReadonlyArray<ListedFile>; readonly more: boolean }, FileError>
    /** Answers how many files, folders and links are gone. */
    readonly remove: (service: string, path: Uint8Array, recursive: boolean) => Effect.Effect<number, FileError>
    /** Drops what transfers of these services have left and nobody goes on with. */
    readonly sweep: (services: ReadonlyArray<string>) => Effect.Effect<void>
  }
>() {}
