import { SqlClient } from "@effect/sql"
import { Clock, Effect } from "effect"

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

/** Times are milliseconds since the epoch; 0 is never. */
const second = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE accounts ADD COLUMN disabled_at BIGINT NOT NULL DEFAULT 0`
  yield* sql`ALTER TABLE accounts ADD COLUMN failures INTEGER NOT NULL DEFAULT 0`
  yield* sql`ALTER TABLE accounts ADD COLUMN failing_since BIGINT NOT NULL DEFAULT 0`
  yield* sql`ALTER TABLE accounts ADD COLUMN locked_until BIGINT NOT NULL DEFAULT 0`
  yield* sql`ALTER TABLE accounts ADD COLUMN totp_secret TEXT`
  yield* sql`ALTER TABLE accounts ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0`
  // Tokens made before this schema are not in the table below; those issued before this time count all the same.
  yield* sql`ALTER TABLE accounts ADD COLUMN unrecorded_until BIGINT NOT NULL DEFAULT 0`
  yield* sql`UPDATE accounts SET unrecorded_until = ${(yield* Clock.currentTimeMillis) + 1000}`
  yield* sql`
    CREATE TABLE tokens (
      jti TEXT PRIMARY KEY,
      account_id TEXT NOT NULL REFERENCES accounts (id),
      issued_at BIGINT NOT NULL,
      expires_at BIGINT NOT NULL,
      ends_at BIGINT NOT NULL
    )`
  yield* sql`CREATE INDEX tokens_account ON tokens (account_id)`
  yield* sql`CREATE INDEX tokens_expiry ON tokens (expires_at)`
  yield* sql`
    CREATE TABLE keys (
      kid TEXT PRIMARY KEY,
      x TEXT NOT NULL,
      created_at BIGINT NOT NULL,
      ends_at BIGINT NOT NULL DEFAULT 0
    )`
})

/** By number and name; a key without a number is skipped by the migrator in silence. */
export const migrations = { "0001_accounts": first, "0002_tokens_keys_and_locks": second }

/** The newest schema that this program knows. */
export const schemaVersion = Object.keys(migrations).length
