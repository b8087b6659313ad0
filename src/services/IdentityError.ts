import { Schema } from "effect"

/** The call carried no token. */
export class TokenMissing extends Schema.TaggedError<TokenMissing>()("TokenMissing", {}) {
  override get message() {
    return "the call carries no token"
  }
}

/** Of the wrong shape or issuer, or refused by MCIAS: forged, revoked, of a removed account. */
export class TokenInvalid extends Schema.TaggedError<TokenInvalid>()("TokenInvalid", {
  why: Schema.String
}) {
  override get message() {
    return `the token is not valid: ${this.why}`
  }
}

export class TokenExpired extends Schema.TaggedError<TokenExpired>()("TokenExpired", {
  expiredAt: Schema.Number
}) {
  override get message() {
    return `the token expired at ${new Date(this.expiredAt).toISOString()}`
  }
}

/** Nobody could say whether the token is good; never a pass. */
export class IdentityUnavailable extends Schema.TaggedError<IdentityUnavailable>()("IdentityUnavailable", {
  server: Schema.String,
  why: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message() {
    return `MCIAS at ${this.server} could not be asked: ${this.why}`
  }
}

/** Too many tokens from this address were refused lately. */
export class LookupsLimited extends Schema.TaggedError<LookupsLimited>()("LookupsLimited", {
  peer: Schema.String
}) {
  override get message() {
    return `too many refused tokens from ${this.peer}; try again in a moment`
  }
}

export type IdentityError = TokenMissing | TokenInvalid | TokenExpired | IdentityUnavailable | LookupsLimited

/** Settings of `[mcias]` with which no server could be asked safely. */
export class MciasSettingsInvalid extends Schema.TaggedError<MciasSettingsInvalid>()("MciasSettingsInvalid", {
  key: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `[mcias] ${this.key} cannot be used: ${this.why}`
  }
}
