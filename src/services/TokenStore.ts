import { Context, type Effect, type Redacted } from "effect"
import type { TokenError, TokenNotStored } from "./CliError.ts"

/** The operator's token, in a file that nobody else can read. */
export class TokenStore extends Context.Tag("mcp/TokenStore")<
  TokenStore,
  {
    readonly path: string
    /** Refuses a file that others can read: the token may be known to them already. */
    readonly read: Effect.Effect<Redacted.Redacted<string>, TokenError>
    readonly write: (token: Redacted.Redacted<string>) => Effect.Effect<void, TokenNotStored>
    /** Whether there was one. */
    readonly remove: Effect.Effect<boolean, TokenNotStored>
  }
>() {}
