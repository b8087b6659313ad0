import { chmodSync, existsSync, mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { Migrator, SqlClient } from "@effect/sql"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Cause, Effect, Layer } from "effect"
import * as Ulid from "../domain/Ulid.ts"
import { Registry } from "../services/Registry.ts"
import { type RegistryLocked, RegistryTooNew, type RegistryUnavailable } from "../services/RegistryError.ts"
import * as Adoptions from "./sqlite/adoptions.ts"
import * as Deployments from "./sqlite/deployments.ts"
import * as Events from "./sqlite/events.ts"
import * as Lock from "./sqlite/lock.ts"
import { migrations, schemaVersion } from "./sqlite/migrations.ts"
import * as Monitor from "./sqlite/monitor.ts"
import { unavailable } from "./sqlite/queries.ts"
import * as Resources from "./sqlite/resources.ts"
import * as Restores from "./sqlite/restores.ts"
import * as Secrets from "./sqlite/secrets.ts"
import * as Services from "./sqlite/services.ts"

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const [meta] = yield* sql<{ value: string }>`SELECT value FROM meta WHERE key = 'registry_id'`
  const id = meta?.value ?? (yield* Ulid.make)
  if (!meta) yield* sql`INSERT INTO meta (key, value) VALUES ('registry_id', ${id})`
  const { eventsWritten, telling } = yield* Events.hub
  return Registry.of({
    id,
    ...telling(Services.make(sql)),
    ...telling(Deployments.make(sql)),
    ...telling(Adoptions.make(sql)),
    ...Resources.make(sql),
    ...Secrets.make(sql),
    ...telling(Events.make(sql)),
    ...telling(Restores.make(sql)),
    ...Monitor.make(sql),
    eventsWritten
  })
})

/** Refuses a database that a newer program has migrated, before touching it. */
const migrate = (path: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`PRAGMA synchronous = FULL`
    yield* sql`PRAGMA foreign_keys = ON`
    // SQLite waits within the call, and all of the agent with it: whoever holds the file is better told of soon.
    yield* sql`PRAGMA busy_timeout = 250`
    const known = yield* sql`SELECT name FROM sqlite_master WHERE name = 'effect_sql_migrations'`
    if (known.length > 0) {
      const [row] = yield* sql<{ found: number }>`SELECT MAX(migration_id) AS found FROM effect_sql_migrations`
      if (row && row.found > schemaVersion) {
        return yield* new RegistryTooNew({ path, found: row.found, known: schemaVersion })
      }
    }
    yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations) })
  }).pipe(Effect.catchTags({ SqlError: unavailable("opened"), MigrationError: unavailable("migrated") }))

/** SQLite at `path` (made with mode 0600, its folder 0700), locked for this process alone. */
export const layer = (path: string): Layer.Layer<Registry, RegistryLocked | RegistryTooNew | RegistryUnavailable> => {
  const prepare = Effect.try({
    try: () => mkdirSync(dirname(path), { recursive: true, mode: 0o700 }),
    catch: unavailable("opened")
  }).pipe(Effect.zipRight(Lock.hold(path)))
  const restrict = Effect.sync(() => {
    for (const suffix of ["", "-wal", "-shm", ".lock"]) if (existsSync(path + suffix)) chmodSync(path + suffix, 0o600)
  })
  // The client opens the file while the layer is built and throws what SQLite says: a file that is no database, say.
  const client = SqliteClient.layer({ filename: path }).pipe(
    Layer.catchAllCause((cause) => Layer.fail(unavailable("opened")(Cause.squash(cause))))
  )
  return Layer.scoped(Registry, Effect.catchTag(make, "SqlError", unavailable("opened"))).pipe(
    Layer.provide(Layer.effectDiscard(Effect.zipRight(migrate(path), restrict))),
    Layer.provide(client),
    Layer.provide(Layer.scopedDiscard(prepare))
  )
}
