import { Context, type Effect, type Redacted, Schema } from "effect"

export class FileTaken extends Schema.TaggedError<FileTaken>()("FileTaken", { file: Schema.String }) {
  override get message() {
    return `${this.file} is there already, and is left as it is`
  }
}

export class FileNotWritten extends Schema.TaggedError<FileNotWritten>()("FileNotWritten", {
  file: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.file} cannot be written: ${this.why}`
  }
}

export class FileMissing extends Schema.TaggedError<FileMissing>()("FileMissing", { file: Schema.String }) {
  override get message() {
    return `there is no file ${this.file}`
  }
}

export class FileUnreadable extends Schema.TaggedError<FileUnreadable>()("FileUnreadable", {
  file: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.file} cannot be read: ${this.why}`
  }
}

/** A private key that is no longer only its owner's. */
export class KeyExposed extends Schema.TaggedError<KeyExposed>()("KeyExposed", {
  file: Schema.String,
  mode: Schema.String
}) {
  override get message() {
    return `others can read the key ${this.file} (mode ${this.mode}); it is not used`
  }
}

export type NewFile = { readonly file: string } & (
  | { readonly text: string }
  /** Mode 0600. */
  | { readonly secret: Redacted.Redacted<string> }
)

/** Keys, certificates and configs on this machine's disk. */
export class KeyFiles extends Context.Tag("mcp/KeyFiles")<
  KeyFiles,
  {
    readonly read: (file: string) => Effect.Effect<string, FileMissing | FileUnreadable>
    readonly readKey: (
      file: string
    ) => Effect.Effect<Redacted.Redacted<string>, FileMissing | FileUnreadable | KeyExposed>
    /** With what leads to it; a folder that is there keeps its mode. Answers whether it was made. */
    readonly makeFolder: (folder: string, mode: number) => Effect.Effect<boolean, FileNotWritten>
    readonly exists: (file: string) => Effect.Effect<boolean>
    /** All or none, and nothing is ever overwritten. */
    readonly create: (files: ReadonlyArray<NewFile>) => Effect.Effect<void, FileTaken | FileNotWritten>
  }
>() {}
