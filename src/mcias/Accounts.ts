import { randomUUID } from "node:crypto"
import { SqlClient, type SqlError } from "@effect/sql"
import { Clock, Context, Effect, Layer, Option, Redacted, Schema } from "effect"
import { Account, Kind, Role } from "./Account.ts"
import { unavailable, writing } from "./database.ts"
import { AccountExists, StoreUnavailable } from "./Failure.ts"
import { FAILURES, LOCK_MS, WINDOW_MS } from "./lockout.ts"
import { endTokens } from "./TokenRecords.ts"

/** An account with what it logs in by. */
export interface Credential {
  readonly account: Account
  readonly passwordHash: string | undefined
  readonly totpSecret: Redacted.Redacted<string> | undefined
}

/** Who there is. Every call reads the database, so that another process's changes count at once. */
export class Accounts extends Context.Tag("mcias/Accounts")<
  Accounts,
  {
    readonly issuer: Effect.Effect<string, StoreUnavailable>
    /** Keeps the issuer that is there; returns the one that counts. */
    readonly setIssuer: (issuer: string) => Effect.Effect<string, StoreUnavailable>
    readonly add: (account: {
      readonly username: string
      readonly kind: Kind
      readonly roles: ReadonlyArray<string>
      readonly passwordHash?: string
    }) => Effect.Effect<Account, AccountExists | StoreUnavailable>
    readonly list: Effect.Effect<ReadonlyArray<Account>, StoreUnavailable>
    readonly byName: (username: string) => Effect.Effect<Option.Option<Credential>, StoreUnavailable>
    readonly byId: (id: string) => Effect.Effect<Option.Option<Account>, StoreUnavailable>
    /** Ends the account's tokens, and a lock: whoever sets a password knows whose it is. */
    readonly setPassword: (id: string, passwordHash: string) => Effect.Effect<void, StoreUnavailable>
    /** Ends the account's tokens; answers whether it was enabled. */
    readonly disable: (id: string) => Effect.Effect<boolean, StoreUnavailable>
    /** Answers whether it was disabled. */
    readonly enable: (id: string) => Effect.Effect<boolean, StoreUnavailable>
    /** Answers whether the account had it not. */
    readonly giveRole: (id: string, role: string) => Effect.Effect<boolean, StoreUnavailable>
    /** Answers whether the account had it; the last one stays. */
    readonly takeRole: (id: string, role: string) => Effect.Effect<boolean, StoreUnavailable>
    /** Only when there is no second factor yet. */
    readonly enrolTotp: (id: string, secret: Redacted.Redacted<string>) => Effect.Effect<boolean, StoreUnavailable>
    /** Answers whether there was one. */
    readonly removeTotp: (id: string) => Effect.Effect<boolean, StoreUnavailable>
    /** Counts a refused login; answers whether that locked the account. */
    readonly countFailure: (id: string) => Effect.Effect<boolean, StoreUnavailable>
    /** Ends the lock and forgets the failures; answers whether it was locked. */
    readonly unlock: (id: string) => Effect.Effect<boolean, StoreUnavailable>
  }
>() {}

const Row = Schema.Struct({
  id: Schema.String,
  username: Schema.String,
  kind: Kind,
  roles: Schema.parseJson(Schema.Array(Role)),
  password_hash: Schema.NullOr(Schema.String),
  created_at: Schema.Number,
  disabled_at: Schema.Number,
  locked_until: Schema.Number,
  totp_secret: Schema.NullOr(Schema.Redacted(Schema.String))
})

const credentialOf = (row: typeof Row.Type): Credential => ({
  account: new Account({
    id: row.id,
    username: row.username,
    kind: row.kind,
    roles: row.roles,
    createdAt: row.created_at,
    disabledAt: row.disabled_at,
    lockedUntil: row.locked_until,
    totp: row.totp_secret !== null
  }),
  passwordHash: row.password_hash ?? undefined,
  totpSecret: row.totp_secret ?? undefined
})

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const now = Clock.currentTimeMillis
  const read = (query: Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>) =>
    query.pipe(
      Effect.mapError(unavailable("read")),
      Effect.flatMap((rows) =>
        // Without the ParseError: it shows the row, and with it the secrets.
        Effect.mapError(
          Schema.decodeUnknown(Schema.Array(Row))(rows),
          () => new StoreUnavailable({ operation: "read", why: "an account in it makes no sense" })
        )
      ),
      Effect.map((rows) => rows.map(credentialOf))
    )
  /** Whether a statement with RETURNING changed a row. */
  const changed = (query: Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>) =>
    query.pipe(
      Effect.map((rows) => rows.length > 0),
      Effect.mapError(unavailable("written"))
    )
  const issuer = sql<{ value: string }>`SELECT value FROM meta WHERE key = 'issuer'`.pipe(
    Effect.map((rows) => rows[0]?.value),
    Effect.mapError(unavailable("read")),
    Effect.filterOrFail(
      (value) => value !== undefined,
      () => new StoreUnavailable({ operation: "read", why: "it has no issuer; run mcp-mcias init again" })
    )
  )

  return Accounts.of({
    issuer,
    setIssuer: (value) =>
      sql`INSERT INTO meta (key, value) VALUES ('issuer', ${value}) ON CONFLICT (key) DO NOTHING`.pipe(
        Effect.mapError(unavailable("written")),
        Effect.zipRight(issuer)
      ),
    add: ({ username, kind, roles, passwordHash }) =>
      Effect.gen(function* () {
        const createdAt = yield* now
        const id = randomUUID()
        const account = new Account({
          id,
          username,
          kind,
          roles,
          createdAt,
          disabledAt: 0,
          lockedUntil: 0,
          totp: false
        })
        const added = yield* changed(sql`
          INSERT INTO accounts (id, username, kind, roles, password_hash, created_at)
          VALUES (${id}, ${username}, ${kind}, ${JSON.stringify(roles)}, ${passwordHash ?? null}, ${createdAt})
          ON CONFLICT (username) DO NOTHING RETURNING id`)
        return added ? account : yield* new AccountExists({ account: username })
      }),
    list: Effect.map(read(sql`SELECT * FROM accounts ORDER BY username`), (all) => all.map((one) => one.account)),
    byName: (username) =>
      Effect.map(read(sql`SELECT * FROM accounts WHERE username = ${username}`), ([one]) => Option.fromNullable(one)),
    byId: (id) =>
      Effect.map(read(sql`SELECT * FROM accounts WHERE id = ${id}`), ([one]) => Option.fromNullable(one?.account)),
    setPassword: (id, passwordHash) =>
      Effect.gen(function* () {
        yield* sql`
          UPDATE accounts SET password_hash = ${passwordHash}, failures = 0, failing_since = 0, locked_until = 0
          WHERE id = ${id}`
        yield* endTokens(sql, id)
      }).pipe(writing(sql)),
    disable: (id) =>
      Effect.gen(function* () {
        const disabled = yield* sql`
          UPDATE accounts SET disabled_at = ${yield* now} WHERE id = ${id} AND disabled_at = 0 RETURNING id`
        yield* endTokens(sql, id)
        return disabled.length > 0
      }).pipe(writing(sql)),
    enable: (id) => changed(sql`UPDATE accounts SET disabled_at = 0 WHERE id = ${id} AND disabled_at > 0 RETURNING id`),
    giveRole: (id, role) =>
      changed(sql`
        UPDATE accounts SET roles = json_insert(roles, '$[#]', ${role})
        WHERE id = ${id} AND ${role} NOT IN (SELECT value FROM json_each(roles)) RETURNING id`),
    takeRole: (id, role) =>
      changed(sql`
        UPDATE accounts SET roles = (SELECT json_group_array(value) FROM json_each(roles) WHERE value <> ${role})
        WHERE id = ${id} AND ${role} IN (SELECT value FROM json_each(roles)) AND json_array_length(roles) > 1
        RETURNING id`),
    enrolTotp: (id, secret) =>
      changed(sql`
        UPDATE accounts SET totp_secret = ${Redacted.value(secret)}, totp_step = 0
        WHERE id = ${id} AND totp_secret IS NULL RETURNING id`),
    removeTotp: (id) =>
      changed(sql`UPDATE accounts SET totp_secret = NULL WHERE id = ${id} AND totp_secret IS NOT NULL RETURNING id`),
    countFailure: (id) =>
      Effect.gen(function* () {
        const at = yield* now
        const anew = sql`failing_since <= ${at - WINDOW_MS}`
        yield* sql`
          UPDATE accounts SET
            failures = CASE WHEN ${anew} THEN 1 ELSE failures + 1 END,
            failing_since = CASE WHEN ${anew} THEN ${at} ELSE failing_since END
          WHERE id = ${id} AND locked_until <= ${at}`
        const locked = yield* sql`
          UPDATE accounts SET locked_until = ${at + LOCK_MS}, failures = 0, failing_since = 0
          WHERE id = ${id} AND failures >= ${FAILURES} RETURNING id`
        return locked.length > 0
      }).pipe(writing(sql)),
    unlock: (id) =>
      Effect.gen(function* () {
        const locked = yield* sql`
          UPDATE accounts SET locked_until = 0 WHERE id = ${id} AND locked_until > ${yield* now} RETURNING id`
        yield* sql`UPDATE accounts SET failures = 0, failing_since = 0 WHERE id = ${id}`
        return locked.length > 0
      }).pipe(writing(sql))
  })
})

export const layer: Layer.Layer<Accounts, never, SqlClient.SqlClient> = Layer.effect(Accounts, make)
