/* A transfer as the operator's side and the agent's both see it, whichever of them sends. */

/** A smaller file is sent again as quickly as it is looked for. */
export const RESUMABLE_BYTES = 1024 * 1024

export type FileKind = "file" | "folder" | "link" | "other"

export interface FileEntry {
  /** Below the path of the transfer, parts parted by `/`; empty for that path itself. */
  readonly path: Uint8Array
  readonly kind: FileKind
  /** Permission bits alone. */
  readonly mode: number
  readonly size: number
  readonly modifiedMs: number
  /** Where it is known, and is kept. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** Of a link. */
  readonly target?: Uint8Array
  /** The data begins here: what is before it is at the other end. */
  readonly offset: number
}

export type FilePart =
  /** A second entry of a path, before its end, begins the file anew. */
  | { readonly _tag: "Entry"; readonly entry: FileEntry }
  /** Good until the next but one is asked for. Whoever sends it may write to `room` bytes before it in its buffer. */
  | { readonly _tag: "Data"; readonly bytes: Uint8Array; readonly room?: number }
  /** The digest is of the whole file, what was not sent again included. */
  | { readonly _tag: "End"; readonly sha256: Uint8Array }
  /** Left out, and why. */
  | { readonly _tag: "Skipped"; readonly path: Uint8Array; readonly why: string }
  | { readonly _tag: "Total"; readonly files: number; readonly bytes: number }
  /** Nothing follows. A stream that ends without it was cut. */
  | { readonly _tag: "Last" }

/** Parts travel many at a time, so that many small files are few messages. */
export type FileParts = ReadonlyArray<FilePart>

/** What is there of a file, and the digest of that. */
export interface Held {
  readonly bytes: number
  readonly sha256: Uint8Array
}

export interface Received {
  readonly files: number
  readonly bytes: number
  readonly skipped: ReadonlyArray<{ readonly path: Uint8Array; readonly why: string }>
}
