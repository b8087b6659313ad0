import { SqlClient, type SqlError } from "@effect/sql"
import { Clock, Context, Effect, Layer, Option } from "effect"
import { unavailable, writing } from "./database.ts"
import type { StoreUnavailable } from "./Failure.ts"

/** How long a renewed token still counts, so that an answer that got lost can be asked for again. */
export const GRACE_MS = 5 * 60_000

/** What is kept of a token. Times are milliseconds since the epoch. */
export interface TokenRecord {
  readonly jti: string
  readonly accountId: string
  readonly issuedAt: number
  /** As it says itself. */
  readonly expiresAt: number
}

export interface Listed extends TokenRecord {
  /** When it stops to count: at its expiry, or before by revocation or renewal. */
  readonly endsAt: number
}

/** Which tokens there are: one that is not here does not count, whoever signed it. */
export class TokenRecords extends Context.Tag("mcias/TokenRecords")<
  TokenRecords,
  {
    /** False when the account is disabled. */
    readonly add: (token: TokenRecord) => Effect.Effect<boolean, StoreUnavailable>
    /**
     * Ends a login: false when the account is locked or disabled, its password or second factor has changed since it
     * was read, or the code of this or a later step was used. All at once, so that nothing gets in between.
     */
    readonly admit: (
      token: TokenRecord,
      by: { readonly passwordHash: string; readonly totpStep: number | undefined }
    ) => Effect.Effect<boolean, StoreUnavailable>
    /** False when the old one does not count, or its account is disabled. */
    readonly renew: (old: TokenRecord, token: TokenRecord) => Effect.Effect<boolean, StoreUnavailable>
    /** When a token stops to count; none when it is not known here. */
    readonly endOf: (token: TokenRecord) => Effect.Effect<Option.Option<number>, StoreUnavailable>
    readonly list: Effect.Effect<ReadonlyArray<Listed>, StoreUnavailable>
    /** Whether it counted until now; none when there is no such token. */
    readonly revoke: (jti: string) => Effect.Effect<Option.Option<boolean>, StoreUnavailable>
    readonly revokeAll: (accountId: string) => Effect.Effect<void, StoreUnavailable>
  }
>() {}

/** Ends all tokens of an account, unrecorded ones too, within a transaction. */
export const endTokens = (sql: SqlClient.SqlClient, accountId: string): Effect.Effect<void, SqlError.SqlError> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* sql`UPDATE accounts SET unrecorded_until = 0 WHERE id = ${accountId}`
    yield* sql`UPDATE tokens SET ends_at = ${now} WHERE account_id = ${accountId} AND ends_at > ${now}`
  })

interface Row {
  readonly jti: string
  readonly account_id: string
  readonly issued_at: number
  readonly expires_at: number
  readonly ends_at: number
}

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  const insert = (token: TokenRecord) => sql`
    INSERT INTO tokens (jti, account_id, issued_at, expires_at, ends_at)
    SELECT ${token.jti}, id, ${token.issuedAt}, ${token.expiresAt}, ${token.expiresAt}
    FROM accounts WHERE id = ${token.accountId} AND disabled_at = 0 RETURNING jti`
  /** A token of before tokens were recorded, so that it has an end like the others. */
  const insertUnrecorded = (token: TokenRecord) => sql`
    INSERT INTO tokens (jti, account_id, issued_at, expires_at, ends_at)
    SELECT ${token.jti}, id, ${token.issuedAt}, ${token.expiresAt}, ${token.expiresAt}
    FROM accounts WHERE id = ${token.accountId} AND unrecorded_until > ${token.issuedAt}
    ON CONFLICT (jti) DO NOTHING`
  const forgetExpired = Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => sql`DELETE FROM tokens WHERE expires_at <= ${now}`
  )
  const read = <A>(query: Effect.Effect<A, SqlError.SqlError>) => Effect.mapError(query, unavailable("read"))

  return TokenRecords.of({
    add: (token) =>
      Effect.gen(function* () {
        yield* forgetExpired
        return (yield* insert(token)).length > 0
      }).pipe(writing(sql)),
    admit: (token, { passwordHash, totpStep }) =>
      Effect.gen(function* () {
        const factor =
          totpStep === undefined ? sql`totp_secret IS NULL` : sql`totp_secret IS NOT NULL AND totp_step < ${totpStep}`
        const admitted = yield* sql`
          UPDATE accounts SET failures = 0, failing_since = 0, totp_step = MAX(totp_step, ${totpStep ?? 0})
          WHERE id = ${token.accountId} AND password_hash = ${passwordHash} AND disabled_at = 0
            AND locked_until <= ${yield* Clock.currentTimeMillis} AND ${factor}
          RETURNING id`
        if (admitted.length === 0) return false
        yield* forgetExpired
        return (yield* insert(token)).length > 0
      }).pipe(writing(sql)),
    renew: (old, token) =>
      Effect.gen(function* () {
        yield* insertUnrecorded(old)
        const now = yield* Clock.currentTimeMillis
        const replaced = yield* sql`
          UPDATE tokens SET ends_at = MIN(ends_at, ${now + GRACE_MS})
          WHERE jti = ${old.jti} AND account_id = ${old.accountId} AND ends_at > ${now} RETURNING jti`
        return replaced.length > 0 && (yield* insert(token)).length > 0
      }).pipe(writing(sql)),
    endOf: (token) =>
      read(sql<{ ends_at: number }>`
        SELECT ends_at FROM tokens WHERE jti = ${token.jti} AND account_id = ${token.accountId}
        UNION ALL
        SELECT ${token.expiresAt} FROM accounts
        WHERE id = ${token.accountId} AND unrecorded_until > ${token.issuedAt}
          AND NOT EXISTS (SELECT 1 FROM tokens WHERE jti = ${token.jti})`).pipe(
        Effect.map(([row]) => Option.fromNullable(row?.ends_at))
      ),
    list: read(sql<Row>`SELECT * FROM tokens ORDER BY issued_at, jti`).pipe(
      Effect.map((rows) =>
        rows.map((row) => ({
          jti: row.jti,
          accountId: row.account_id,
          issuedAt: row.issued_at,
          expiresAt: row.expires_at,
          endsAt: row.ends_at
        }))
      )
    ),
    revoke: (jti) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const ended = yield* sql`
          UPDATE tokens SET ends_at = ${now} WHERE jti = ${jti} AND ends_at > ${now} RETURNING jti`
        if (ended.length > 0) return Option.some(true)
        const known = yield* sql`SELECT jti FROM tokens WHERE jti = ${jti}`
        return known.length > 0 ? Option.some(false) : Option.none()
      }).pipe(writing(sql)),
    revokeAll: (accountId) => writing(sql)(endTokens(sql, accountId))
  })
})

export const layer: Layer.Layer<TokenRecords, never, SqlClient.SqlClient> = Layer.effect(TokenRecords, make)
