import { Context, type Effect, type Redacted, Schema } from "effect"
import type { IdentityError } from "./IdentityError.ts"

export const AccountType = Schema.Literal("human", "system")
export type AccountType = typeof AccountType.Type

/** Who calls, as MCIAS vouches for it. */
export class Caller extends Schema.Class<Caller>("mcp/Caller")({
  /** MCIAS's `sub`, a UUID: it stays when the account is renamed. */
  account: Schema.NonEmptyString,
  username: Schema.NonEmptyString,
  accountType: AccountType,
  roles: Schema.Array(Schema.String),
  /** Milliseconds since the epoch. */
  expiresAt: Schema.Number
}) {}

/** MCIAS's answer has no field for it: system accounts carry no roles, and everybody else has at least one. */
export const accountTypeOf = (roles: ReadonlyArray<string>): AccountType => (roles.length === 0 ? "system" : "human")

/** Who a token belongs to. What they may do is not decided here: a `guest` is returned like anybody. */
export class Identity extends Context.Tag("mcp/Identity")<
  Identity,
  {
    /** `peer` is the caller's address, with or without port: refused look-ups are counted by address. */
    readonly validate: (token: Redacted.Redacted<string>, peer: string) => Effect.Effect<Caller, IdentityError>
  }
>() {}
