import { Clock, Effect, Option, Redacted, Schema } from "effect"
import { accountTypeOf, Caller } from "../services/Identity.ts"
import { TokenExpired, TokenInvalid, TokenMissing } from "../services/IdentityError.ts"
import type { Validated } from "./mciasHttp.ts"

const MAX_LENGTH = 8 * 1024
/** How far the clocks of MCIAS and this host may differ. */
const LEEWAY_MS = 60_000
const threeParts = /^[\w-]+\.[\w-]+\.[\w-]+$/

const Header = Schema.Struct({ alg: Schema.Literal("EdDSA") })
const Claims = Schema.Struct({
  sub: Schema.NonEmptyString,
  exp: Schema.Finite,
  iat: Schema.optional(Schema.Finite),
  iss: Schema.optional(Schema.String)
})
export type Claims = typeof Claims.Type

const part = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownOption(Schema.parseJson(schema))
  return (base64: string | undefined) => decode(Buffer.from(base64 ?? "", "base64url").toString("utf8"))
}
const headerOf = part(Header)
const claimsOf = part(Claims)

const invalid = (why: string) => new TokenInvalid({ why })

/** What can be told of a token without its key: enough to refuse most nonsense without asking MCIAS. */
export const inspect = (
  token: Redacted.Redacted<string>,
  issuer: string | undefined
): Effect.Effect<Claims, TokenMissing | TokenInvalid | TokenExpired> =>
  Effect.gen(function* () {
    const value = Redacted.value(token)
    if (value === "") return yield* new TokenMissing()
    if (value.length > MAX_LENGTH || !threeParts.test(value)) return yield* invalid("it is no JWT")
    const [head, body] = value.split(".")
    if (Option.isNone(headerOf(head))) return yield* invalid("it is not signed with EdDSA")
    const claims = Option.getOrUndefined(claimsOf(body))
    if (claims === undefined) return yield* invalid("its claims cannot be read")
    if (issuer !== undefined && claims.iss !== issuer) return yield* invalid("it comes from another issuer")
    const now = yield* Clock.currentTimeMillis
    if (claims.iat !== undefined && claims.iat * 1000 > now + LEEWAY_MS) {
      return yield* invalid("it was issued in the future; are the clocks right?")
    }
    if (claims.exp * 1000 <= now) return yield* new TokenExpired({ expiredAt: claims.exp * 1000 })
    return claims
  })

/** MCIAS's answer as a caller; the earlier of both expiries holds. */
export const callerOf = (
  claims: Claims,
  answer: Option.Option<Validated>
): Effect.Effect<Caller, TokenInvalid | TokenExpired> =>
  Effect.gen(function* () {
    if (Option.isNone(answer)) return yield* invalid("MCIAS refused it")
    const { sub, username, roles, expires_at } = answer.value
    if (sub !== claims.sub) return yield* invalid("MCIAS knows it as another account's")
    const expiresAt = Math.min(claims.exp * 1000, expires_at?.getTime() ?? Number.POSITIVE_INFINITY)
    if (expiresAt <= (yield* Clock.currentTimeMillis)) return yield* new TokenExpired({ expiredAt: expiresAt })
    return new Caller({ account: sub, username, accountType: accountTypeOf(roles), roles, expiresAt })
  })
