import { Migrator, SqlClient, type SqlError } from "@effect/sql"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Cause, Effect, Layer, Schedule } from "effect"
import { reasonOf, StoreTooNew, StoreUnavailable } from "./Failure.ts"
import { databaseIn } from "./Home.ts"
import { migrations, schemaVersion } from "./migrations.ts"

export const unavailable = (operation: "opened" | "read" | "written") => (error: unknown) =>
  new StoreUnavailable({ operation, why: reasonOf(error), cause: error })

/**
 * For what changes more than one thing at once. It must begin with a write: after a read SQLite refuses the lock at
 * once when another process has written meanwhile, instead of waiting.
 */
export const writing =
  (sql: SqlClient.SqlClient) =>
  <A>(effect: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A, StoreUnavailable> =>
    Effect.mapError(sql.withTransaction(effect), unavailable("written"))

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

/** The database in `dir`, up to date; several processes may have it open. */
export const layer = (dir: string): Layer.Layer<SqlClient.SqlClient, StoreTooNew | StoreUnavailable> => {
  const path = databaseIn(dir)
  // The client opens the file while the layer is built and throws what SQLite says: a file that is no database, say.
  const client = SqliteClient.layer({ filename: path }).pipe(
    Layer.catchAllCause((cause) => Layer.fail(unavailable("opened")(Cause.squash(cause))))
  )
  return Layer.effectDiscard(Effect.retry(migrate(path), whileBusy)).pipe(
    Layer.provideMerge(Layer.retry(client, whileBusy))
  )
}
