import { Context, type Effect } from "effect"
import type { ConfigNotSaved } from "./CliError.ts"

/** The text of the CLI's config file; what it means is decided in the domain. */
export class ConfigFile extends Context.Tag("mcp/ConfigFile")<
  ConfigFile,
  {
    readonly file: string
    readonly read: Effect.Effect<string, ConfigNotSaved>
    /** Replaces it at once, never half. */
    readonly save: (text: string) => Effect.Effect<void, ConfigNotSaved>
  }
>() {}
