import { Context, type Effect, type Option, type Redacted, Schema } from "effect"

/** Secrets would come to lie on a disk, or cannot be written at all. */
export class SecretFilesRefused extends Schema.TaggedError<SecretFilesRefused>()("SecretFilesRefused", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `secrets cannot be written to ${this.path}: ${this.why}`
  }
}

/** The containers that share files: one generation of a component. */
export interface Generation {
  readonly service: string
  readonly component: string
  readonly generation: number
}

/** Values in memory alone, as files that containers mount. */
export class SecretFiles extends Context.Tag("mcp/SecretFiles")<
  SecretFiles,
  {
    /** Whether files can be written there that never reach a disk. */
    readonly check: Effect.Effect<void, SecretFilesRefused>
    readonly file: (of: Generation, secret: string) => string
    /** Beside those that are there; with `alone` instead of them. Each is whole or not there. */
    readonly write: (
      of: Generation,
      values: ReadonlyMap<string, Redacted.Redacted<Uint8Array>>,
      alone: boolean
    ) => Effect.Effect<void, SecretFilesRefused>
    readonly read: (of: Generation, secret: string) => Effect.Effect<Option.Option<Redacted.Redacted<Uint8Array>>>
    /** Those of a service of which there are files. */
    readonly generations: (service: string) => Effect.Effect<ReadonlyArray<Generation>>
    /** Succeeds when there are none. */
    readonly remove: (of: Generation) => Effect.Effect<void, SecretFilesRefused>
  }
>() {}
