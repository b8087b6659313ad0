import { Context, type Effect, type Redacted, Schema } from "effect"
import type { Caller } from "./Identity.ts"
import type { MciasSettingsInvalid, TokenExpired, TokenInvalid, TokenMissing } from "./IdentityError.ts"

/** Wrong name, password or code, or a locked account: MCIAS does not say which. */
export class LoginRefused extends Schema.TaggedError<LoginRefused>()("LoginRefused", {
  username: Schema.String,
  /** Whether a TOTP code was sent. */
  withCode: Schema.Boolean
}) {
  override get message() {
    const wrong = this.withCode ? "wrong name, password or TOTP code (each works once)" : "wrong name or password"
    return `MCIAS refused the login of ${this.username}: ${wrong}, or the account is locked`
  }
}

/** Good credentials, refused by policy. */
export class LoginForbidden extends Schema.TaggedError<LoginForbidden>()("LoginForbidden", {
  username: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.username} may not log in here: ${this.why}`
  }
}

/** The account has a second factor, and no code was sent. */
export class TotpRequired extends Schema.TaggedError<TotpRequired>()("TotpRequired", {
  username: Schema.String
}) {
  override get message() {
    return `${this.username} needs a TOTP code to log in`
  }
}

export class MciasUnavailable extends Schema.TaggedError<MciasUnavailable>()("MciasUnavailable", {
  server: Schema.String,
  why: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message() {
    return `MCIAS at ${this.server} could not be asked: ${this.why}`
  }
}

/** It said 429 until we gave up. */
export class MciasBusy extends Schema.TaggedError<MciasBusy>()("MciasBusy", { server: Schema.String }) {
  override get message() {
    return `MCIAS at ${this.server} gets too many requests from this address`
  }
}

export type LoginError = LoginRefused | LoginForbidden | TotpRequired | MciasUnavailable | MciasBusy

export interface Credentials {
  readonly username: string
  readonly password: Redacted.Redacted<string>
  /** A code works once. */
  readonly totp?: Redacted.Redacted<string>
}

export interface Login {
  readonly token: Redacted.Redacted<string>
  readonly expiresAt: Date
}

/** MCIAS as an operator's own client needs it: no cache, no limit. */
export class Mcias extends Context.Tag("mcp/Mcias")<
  Mcias,
  {
    readonly login: (credentials: Credentials) => Effect.Effect<Login, LoginError | MciasSettingsInvalid>
    readonly validate: (
      token: Redacted.Redacted<string>
    ) => Effect.Effect<
      Caller,
      TokenMissing | TokenInvalid | TokenExpired | MciasUnavailable | MciasBusy | MciasSettingsInvalid
    >
  }
>() {}
