import { Context, type Effect } from "effect"
import type { EditorFailed } from "./CliError.ts"

/** The operator's text editor. */
export class Editor extends Context.Tag("mcp/Editor")<
  Editor,
  {
    /** Opens a file and waits until the editor has ended well. */
    readonly edit: (file: string) => Effect.Effect<void, EditorFailed>
  }
>() {}
