import { Context, type Effect, type Stream } from "effect"
import type { FileEntry, FileParts, Held, Received } from "../domain/FileParts.ts"
import type { FileError } from "./FileTransfer.ts"

/** Files and folders of the operator's machine that go to a node or come from one. */
export class LocalTree extends Context.Tag("mcp/LocalTree")<
  LocalTree,
  {
    /** The last part of the path that it really is: `.` and a path that ends in `/` have one, too. */
    readonly baseName: (path: string) => string
    /** A link is what it leads to; undefined when nothing is there. */
    readonly look: (path: string) => Effect.Effect<FileEntry | undefined, FileError>
    readonly read: (path: string, tree: boolean, held: Held | undefined) => Stream.Stream<FileParts, FileError>
    /** How much of a file lies where a pull that was cut has left it. */
    readonly held: (path: string) => Effect.Effect<Held, FileError>
    /** The digest of a file's beginning; undefined when it has less. */
    readonly digest: (path: string, bytes: number) => Effect.Effect<Uint8Array | undefined, FileError>
    readonly write: <E, R>(
      path: string,
      options: { readonly tree: boolean; readonly mode: number | undefined },
      parts: Stream.Stream<FileParts, E, R>
    ) => Effect.Effect<Received, FileError | E, R>
  }
>() {}
