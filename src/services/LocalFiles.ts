import { Context, type Effect, type Either } from "effect"
import type { FileNotWritten, FileTaken } from "./KeyFiles.ts"

/** Files of the operator's machine that are not MCP's own, and the environment that goes with them. */
export class LocalFiles extends Context.Tag("mcp/LocalFiles")<
  LocalFiles,
  {
    readonly environment: Readonly<Record<string, string | undefined>>
    /** Undefined when there is none; a text says why it cannot be read. At once, since one file leads to the next. */
    readonly read: (file: string) => Either.Either<string | undefined, string>
    /** Undefined for what is neither, or is not there. */
    readonly kind: (path: string) => "file" | "folder" | undefined
    /** What the folder of a file is called. */
    readonly folderName: (file: string) => string
    /** Whole or not at all. */
    readonly write: (file: string, text: string, over: boolean) => Effect.Effect<void, FileTaken | FileNotWritten>
  }
>() {}
