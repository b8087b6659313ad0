import { Clock, Duration, Effect, Option } from "effect"
import type { Account } from "./Account.ts"
import { Accounts } from "./Accounts.ts"
import type { StoreUnavailable } from "./Failure.ts"
import { lifetimeOf } from "./lifetimes.ts"
import { type TokenRecord, TokenRecords } from "./TokenRecords.ts"
import { type Claims, recordOf } from "./tokens.ts"

export interface Standing {
  readonly account: Account
  readonly issuedAt: number
  /** When the token expires. */
  readonly expiresAt: number
  /** When it stops to count, which a revocation or a renewal brings forward. */
  readonly endsAt: number
}

/** Whoever became an admin after the login has had an admin's time only. */
export const expiryOf = (token: TokenRecord, account: Account): number =>
  Math.min(token.expiresAt, token.issuedAt + Duration.toMillis(lifetimeOf(account)))

/** What a token with a good signature is worth now; none when it is revoked or its account disabled. */
export const standingOf = (
  claims: Claims
): Effect.Effect<Option.Option<Standing>, StoreUnavailable, Accounts | TokenRecords> =>
  Effect.gen(function* () {
    const record = recordOf(claims)
    const found = yield* (yield* Accounts).byId(claims.sub)
    const end = yield* (yield* TokenRecords).endOf(record)
    if (Option.isNone(found) || Option.isNone(end) || found.value.disabledAt > 0) return Option.none()
    const account = found.value
    const expiresAt = expiryOf(record, account)
    const endsAt = Math.min(expiresAt, end.value)
    if (endsAt <= (yield* Clock.currentTimeMillis)) return Option.none()
    return Option.some({ account, issuedAt: record.issuedAt, expiresAt, endsAt })
  })
