import { Context, type Effect, type Option } from "effect"
import type { DefinitionNotSaved, DefinitionsUnreadable } from "./CliError.ts"

export interface DefinitionFile {
  /** What the file's name says; the text is still to be checked. */
  readonly service: string
  readonly file: string
  readonly text: string
}

/** A definition under work: it stays when the work was cut off. */
export interface Draft {
  readonly file: string
  readonly read: Effect.Effect<Option.Option<string>, DefinitionsUnreadable>
  readonly write: (text: string) => Effect.Effect<void, DefinitionNotSaved>
  readonly discard: Effect.Effect<void, DefinitionNotSaved>
}

/** The folder of service definitions. Texts only: what they mean is decided in the domain. */
export class Definitions extends Context.Tag("mcp/Definitions")<
  Definitions,
  {
    readonly dir: string
    readonly all: Effect.Effect<ReadonlyArray<DefinitionFile>, DefinitionsUnreadable>
    readonly find: (service: string) => Effect.Effect<Option.Option<DefinitionFile>, DefinitionsUnreadable>
    /** A file outside the folder. */
    readonly open: (file: string) => Effect.Effect<DefinitionFile, DefinitionsUnreadable>
    /** Replaces the file's text at once, never half. */
    readonly save: (definition: DefinitionFile) => Effect.Effect<void, DefinitionNotSaved>
    /** A new file of the folder; fails when there is one. */
    readonly create: (service: string, text: string) => Effect.Effect<DefinitionFile, DefinitionNotSaved>
    readonly draft: (service: string) => Draft
  }
>() {}
