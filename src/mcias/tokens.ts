import { createPublicKey, type KeyObject, randomUUID } from "node:crypto"
import { Clock, Duration, Effect, type Option, Redacted, Schema } from "effect"
import { jwtVerify, SignJWT } from "jose"
import type { Account } from "./Account.ts"

const lifetimeOf = (account: Account): Duration.Duration => {
  if (account.kind === "system") return Duration.days(365)
  return account.roles.includes("admin") ? Duration.hours(8) : Duration.days(30)
}

export interface Issued {
  readonly token: Redacted.Redacted<string>
  readonly expiresAt: Date
}

const Claims = Schema.Struct({
  sub: Schema.NonEmptyString,
  roles: Schema.Array(Schema.String),
  iat: Schema.Number,
  exp: Schema.Number,
  jti: Schema.NonEmptyString
})

/** A JWT's form alone: three parts, the first two being JSON objects. */
export const isWellFormed = (token: string): boolean => {
  const parts = token.split(".")
  if (parts.length !== 3 || !parts.every((part) => /^[\w-]+$/.test(part))) return false
  return parts.slice(0, 2).every((part) => {
    try {
      const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"))
      return typeof value === "object" && value !== null && !Array.isArray(value)
    } catch {
      return false
    }
  })
}

/** Signs and checks tokens: exactly the claims sub, roles, iss, iat, exp and jti. */
export const make = (key: KeyObject, issuer: string) => {
  const publicKey = createPublicKey(key)
  return {
    issue: (account: Account): Effect.Effect<Issued> =>
      Effect.gen(function* () {
        const iat = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const exp = iat + Duration.toSeconds(lifetimeOf(account))
        const token = yield* Effect.promise(() =>
          new SignJWT({ roles: [...account.roles] })
            .setProtectedHeader({ alg: "EdDSA", typ: "JWT" })
            .setSubject(account.id)
            .setIssuer(issuer)
            .setIssuedAt(iat)
            .setExpirationTime(exp)
            .setJti(randomUUID())
            .sign(key)
        )
        return { token: Redacted.make(token), expiresAt: new Date(exp * 1000) }
      }),
    /** The claims of a token that this key signed and that has not expired. */
    verify: (token: Redacted.Redacted<string>): Effect.Effect<Option.Option<typeof Claims.Type>> =>
      Effect.gen(function* () {
        const currentDate = new Date(yield* Clock.currentTimeMillis)
        const { payload } = yield* Effect.tryPromise(() =>
          jwtVerify(Redacted.value(token), publicKey, { issuer, algorithms: ["EdDSA"], currentDate })
        )
        return yield* Schema.decodeUnknown(Claims)(payload)
      }).pipe(Effect.option)
  }
}

export type Tokens = ReturnType<typeof make>
