import { randomUUID } from "node:crypto"
import { Clock, Duration, Effect, Option, Redacted, Schema } from "effect"
import { decodeProtectedHeader, jwtVerify, SignJWT } from "jose"
import type { Account } from "./Account.ts"
import type { FileUnusable, StoreUnavailable } from "./Failure.ts"
import type { Keys } from "./Keys.ts"
import { lifetimeOf } from "./lifetimes.ts"
import type { TokenRecord } from "./TokenRecords.ts"

export interface Issued {
  readonly token: Redacted.Redacted<string>
  readonly expiresAt: Date
  /** It counts once this is in the database. */
  readonly record: TokenRecord
}

const Claims = Schema.Struct({
  sub: Schema.NonEmptyString,
  roles: Schema.Array(Schema.String),
  iat: Schema.Number,
  exp: Schema.Number,
  jti: Schema.NonEmptyString
})
export type Claims = typeof Claims.Type

export const recordOf = ({ exp, iat, jti, sub }: Claims): TokenRecord => ({
  jti,
  accountId: sub,
  issuedAt: iat * 1000,
  expiresAt: exp * 1000
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
export const make = (keys: Pick<Keys["Type"], "current" | "verifying">, issuer: string) => ({
  issue: (account: Account): Effect.Effect<Issued, FileUnusable | StoreUnavailable> =>
    Effect.gen(function* () {
      const { kid, privateKey } = yield* keys.current
      const iat = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const exp = iat + Duration.toSeconds(lifetimeOf(account))
      const jti = randomUUID()
      const token = yield* Effect.promise(() =>
        new SignJWT({ roles: [...account.roles] })
          .setProtectedHeader({ alg: "EdDSA", typ: "JWT", kid })
          .setSubject(account.id)
          .setIssuer(issuer)
          .setIssuedAt(iat)
          .setExpirationTime(exp)
          .setJti(jti)
          .sign(privateKey)
      )
      const record = recordOf({ sub: account.id, roles: account.roles, iat, exp, jti })
      return { token: Redacted.make(token), expiresAt: new Date(record.expiresAt), record }
    }),
  /** The claims of a token that one of the keys signed and that has not expired. Whether it counts is not told here. */
  verify: (token: Redacted.Redacted<string>): Effect.Effect<Option.Option<Claims>, FileUnusable | StoreUnavailable> =>
    Effect.gen(function* () {
      const candidates = yield* keys.verifying
      const currentDate = new Date(yield* Clock.currentTimeMillis)
      const value = Redacted.value(token)
      const header = Option.getOrUndefined(yield* Effect.option(Effect.try(() => decodeProtectedHeader(value))))
      if (header === undefined) return Option.none()
      // Tokens of before there was more than one key name none.
      for (const key of candidates.filter(({ kid }) => header.kid === undefined || header.kid === kid)) {
        const verified = yield* Effect.option(
          Effect.tryPromise(() => jwtVerify(value, key.publicKey, { issuer, algorithms: ["EdDSA"], currentDate }))
        )
        if (Option.isSome(verified)) return Schema.decodeUnknownOption(Claims)(verified.value.payload)
      }
      return Option.none()
    })
})

export type Tokens = ReturnType<typeof make>
