import { Schema } from "effect"

export const Username = Schema.String.pipe(
  Schema.pattern(/^[a-z0-9_][a-z0-9_.@-]{0,63}$/, {
    message: () => 'an account name: 1 to 64 of a-z, 0-9 and "-_.@", not starting with "-", "." or "@"'
  })
)
export type Username = typeof Username.Type

export const roleForm = 'role such as admin, user or guest (1 to 32 of a-z, 0-9, "-" and "_")'
export const Role = Schema.String.pipe(Schema.pattern(/^[a-z0-9][a-z0-9_-]{0,31}$/, { message: () => `a ${roleForm}` }))

export const Kind = Schema.Literal("human", "system")
export type Kind = typeof Kind.Type

/** System accounts carry no roles and people at least one: by that, MCIAS's answers tell them apart. */
export class Account extends Schema.Class<Account>("mcias/Account")({
  /** A UUID, the `sub` of its tokens. */
  id: Schema.String,
  username: Username,
  kind: Kind,
  roles: Schema.Array(Role),
  /** Milliseconds since the epoch, like all times here; 0 is never. */
  createdAt: Schema.Number,
  disabledAt: Schema.Number,
  lockedUntil: Schema.Number,
  /** Whether a login needs a second factor. */
  totp: Schema.Boolean
}) {}

export const stateOf = (account: Account, now: number): "active" | "locked" | "disabled" => {
  if (account.disabledAt > 0) return "disabled"
  return account.lockedUntil > now ? "locked" : "active"
}
