import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

/* Only ever append. */

const first = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)`
  yield* sql`
    CREATE TABLE accounts (
      id TEXT PRIMARY KEY,
      username TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL CHECK (kind IN ('human', 'system')),
      roles TEXT NOT NULL,
      password_hash TEXT,
      created_at BIGINT NOT NULL,
      CHECK ((kind = 'human') = (password_hash IS NOT NULL))
    )`
})

/** By number and name; a key without a number is skipped by the migrator in silence. */
export const migrations = { "0001_accounts": first }

/** The newest schema that this program knows. */
export const schemaVersion = Object.keys(migrations).length
