import { randomUUID } from "node:crypto"
import { Migrator, SqlClient, type SqlError } from "@effect/sql"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Cause, Clock, Context, Effect, Layer, Option, Schedule, Schema } from "effect"
import { Account, Kind, Role } from "./Account.ts"
import { AccountExists, reasonOf, StoreTooNew, StoreUnavailable } from "./Failure.ts"
import { databaseIn } from "./Home.ts"
import { migrations, schemaVersion } from "./migrations.ts"

/** An account with what it logs in by. */
export interface Credential {
  readonly account: Account
  readonly passwordHash: string | undefined
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
  }
>() {}

const unavailable = (operation: string) => (error: unknown) =>
  new StoreUnavailable({ operation, why: reasonOf(error), cause: error })

const Row = Schema.Struct({
  id: Schema.String,
  username: Schema.String,
  kind: Kind,
  roles: Schema.parseJson(Schema.Array(Role)),
  password_hash: Schema.NullOr(Schema.String),
  created_at: Schema.Number
})

const credentialOf = (row: typeof Row.Type): Credential => ({
  account: new Account({
    id: row.id,
    username: row.username,
    kind: row.kind,
    roles: row.roles,
    createdAt: row.created_at
  }),
  passwordHash: row.password_hash ?? undefined
})

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const read = (query: Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>) =>
    query.pipe(
      Effect.flatMap(Schema.decodeUnknown(Schema.Array(Row))),
      Effect.map((rows) => rows.map(credentialOf)),
      Effect.mapError(unavailable("read"))
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
        const account = new Account({
          id: randomUUID(),
          username,
          kind,
          roles,
          createdAt: yield* Clock.currentTimeMillis
        })
        const added = yield* sql`INSERT INTO accounts (id, username, kind, roles, password_hash, created_at)
          VALUES (${account.id}, ${username}, ${kind}, ${JSON.stringify(roles)}, ${passwordHash ?? null},
            ${account.createdAt})
          ON CONFLICT (username) DO NOTHING RETURNING id`.pipe(Effect.mapError(unavailable("written")))
        return added.length === 0 ? yield* new AccountExists({ account: username }) : account
      }),
    list: Effect.map(read(sql`SELECT * FROM accounts ORDER BY username`), (all) => all.map((one) => one.account)),
    byName: (username) =>
      Effect.map(read(sql`SELECT * FROM accounts WHERE username = ${username}`), ([one]) => Option.fromNullable(one)),
    byId: (id) =>
      Effect.map(read(sql`SELECT * FROM accounts WHERE id = ${id}`), ([one]) => Option.fromNullable(one?.account))
  })
})

/** Migrates only what is behind, so that a command beside a running server takes no write lock for it. */
const migrate = (path: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`PRAGMA busy_timeout = 5000`
    yield* sql`PRAGMA synchronous = FULL`
    yield* sql`PRAGMA foreign_keys = ON`
    const version = Effect.gen(function* () {
      const known = yield* sql`SELECT name FROM sqlite_master WHERE name = 'effect_sql_migrations'`
      if (known.length === 0) return 0
      const [row] = yield* sql<{ found: number | null }>`SELECT MAX(migration_id) AS found FROM effect_sql_migrations`
      return row?.found ?? 0
    })
    const found = yield* version
    if (found > schemaVersion) return yield* new StoreTooNew({ path, found, known: schemaVersion })
    if (found === schemaVersion) return
    yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations) })
    // The migrator leaves in silence when another process is at it.
    if ((yield* version) < schemaVersion) yield* unavailable("opened")(new Error("another process is migrating: busy"))
  }).pipe(
    // A failing migration is a defect of the migrator's.
    Effect.catchAllCause((cause) => {
      const error = Cause.squash(cause)
      return Effect.fail(error instanceof StoreTooNew ? error : unavailable("opened")(error))
    })
  )

// Two processes that open a new database at once get in each other's way, past SQLite's own waiting.
const whileBusy = Schedule.spaced("50 millis").pipe(
  Schedule.intersect(Schedule.recurs(40)),
  Schedule.whileInput((error: StoreTooNew | StoreUnavailable) => /locked|busy|already running/i.test(error.message))
)

/** The database in `dir`; several processes may have it open. */
export const layer = (dir: string): Layer.Layer<Accounts, StoreTooNew | StoreUnavailable> => {
  const path = databaseIn(dir)
  // The client opens the file while the layer is built and throws what SQLite says: a file that is no database, say.
  const client = SqliteClient.layer({ filename: path }).pipe(
    Layer.catchAllCause((cause) => Layer.fail(unavailable("opened")(Cause.squash(cause))))
  )
  return Layer.effect(Accounts, make).pipe(
    Layer.provide(Layer.effectDiscard(Effect.retry(migrate(path), whileBusy))),
    Layer.provide(Layer.retry(client, whileBusy))
  )
}
