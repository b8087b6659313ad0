import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import * as SqliteRegistry from "../../src/layers/SqliteRegistry.ts"
import * as SqliteSnapshots from "../../src/layers/SqliteSnapshots.ts"
import { snapshot } from "../../src/programs/snapshot.ts"
import { Registry } from "../../src/services/Registry.ts"
import { Snapshots } from "../../src/services/Snapshots.ts"
import { temporaryFolder } from "../support/folder.ts"

const idOf = (database: string) =>
  Effect.map(Registry, ({ id }) => id).pipe(Effect.provide(SqliteRegistry.layer(database)))

const setUp = Effect.gen(function* () {
  const dir = temporaryFolder()
  const database = join(dir, "mcp.db")
  return { dir, database, id: yield* idOf(database), request: { database, node: "rift", keep: undefined } }
})

it.live(
  "a snapshot is one private file, taken while the registry is held, and nothing else is left in the folder",
  () =>
    Effect.gen(function* () {
      const { database, dir, id, request } = yield* setUp
      writeFileSync(join(dir, "secrets.key"), "key", { mode: 0o600 })
      const taking = snapshot({ ...request, to: `${dir}/snaps/` })
      const { facts, file } = yield* Effect.provide(taking, SqliteRegistry.layer(database))
      assert.strictEqual(facts.registry, id)
      assert.deepStrictEqual(facts.beside, ["secrets.key"])
      const names = readdirSync(join(dir, "snaps")).sort()
      assert.deepStrictEqual(
        names,
        [file, `${file}.secrets.key`].map((path) => path.slice(dir.length + 7))
      )
      for (const name of names) assert.strictEqual(statSync(join(dir, "snaps", name)).mode & 0o777, 0o600)
      assert.strictEqual(statSync(join(dir, "snaps")).mode & 0o777, 0o700)
    }).pipe(Effect.provide(SqliteSnapshots.layer))
)

it.live("--keep leaves that many of the node's own, and touches nothing else in the folder", () =>
  Effect.gen(function* () {
    const { dir, request } = yield* setUp
    const foreign = ["other-20200101T000000.000Z.db", "rift-notes.db", "rift-b-20200101T000000.000Z.db"]
    for (const name of foreign) writeFileSync(join(dir, name), "")
    const own = "rift-20200101T000000.000Z.db"
    for (const name of [own, `${own}.secrets.key`]) writeFileSync(join(dir, name), "")
    const first = yield* snapshot({ ...request, to: dir, keep: 2 })
    assert.deepStrictEqual(first.removed, [])
    const second = yield* snapshot({ ...request, to: dir, keep: 2 })
    assert.deepStrictEqual(second.removed, [join(dir, own)])
    assert.isFalse(existsSync(join(dir, `${own}.secrets.key`)))
    for (const name of foreign) assert.isTrue(existsSync(join(dir, name)))
    assert.isTrue(existsSync(first.file))
  }).pipe(Effect.provide(SqliteSnapshots.layer))
)

it.live("nothing is written over, and a folder is needed to keep some", () =>
  Effect.gen(function* () {
    const { dir, request } = yield* setUp
    const to = join(dir, "one.db")
    yield* snapshot({ ...request, to })
    assert.match((yield* Effect.flip(snapshot({ ...request, to }))).message, /is there already[\s\S]*next: /)
    assert.strictEqual((yield* Effect.flip(snapshot({ ...request, to, keep: 1 })))._tag, "KeepNeedsFolder")
    const none = yield* Effect.flip(snapshot({ ...request, database: join(dir, "none.db"), to: join(dir, "two.db") }))
    assert.match(none.message, /there is no registry/)
    assert.isFalse(existsSync(join(dir, "two.db")))
  }).pipe(Effect.provide(SqliteSnapshots.layer))
)

it.live("restore brings database and key back, keeps both of before, and can be undone", () =>
  Effect.gen(function* () {
    const { database, dir, id, request } = yield* setUp
    const snapshots = yield* Snapshots
    const key = join(dir, "secrets.key")
    writeFileSync(key, "old key", { mode: 0o600 })
    const { file } = yield* snapshot({ ...request, to: join(dir, "one.db") })
    const other = join(temporaryFolder(), "mcp.db")
    const otherId = yield* idOf(other)
    writeFileSync(join(other, "../secrets.key"), "new key", { mode: 0o600 })
    const { kept } = yield* snapshots.restore(file, other)
    assert.strictEqual(yield* idOf(other), id)
    assert.strictEqual(readFileSync(join(other, "../secrets.key"), "utf8"), "old key")
    assert.lengthOf(kept, 2)
    yield* snapshots.restore(kept[0] ?? "", other)
    assert.strictEqual(yield* idOf(other), otherId)
    assert.strictEqual(readFileSync(join(other, "../secrets.key"), "utf8"), "new key")
    assert.strictEqual(statSync(other).mode & 0o777, 0o600)
    assert.deepStrictEqual(
      readdirSync(join(other, "..")).filter((name) => name.includes("draft")),
      []
    )
    assert.strictEqual(yield* idOf(database), id)
  }).pipe(Effect.provide(SqliteSnapshots.layer))
)

it.live("what is held, no registry, damaged or of a newer program is refused, and the registry stays", () =>
  Effect.gen(function* () {
    const { database, dir, id, request } = yield* setUp
    const snapshots = yield* Snapshots
    const { file } = yield* snapshot({ ...request, to: join(dir, "one.db") })
    const held = snapshots.restore(file, database).pipe(Effect.flip, Effect.provide(SqliteRegistry.layer(database)))
    assert.strictEqual((yield* held)._tag, "RegistryLocked")
    const changed = (name: string, sql: string) => {
      const at = join(dir, name)
      writeFileSync(at, readFileSync(file))
      const db = new Database(at)
      db.exec(sql)
      db.close()
      return at
    }
    const newer = changed("newer.db", "UPDATE effect_sql_migrations SET migration_id = 999 WHERE migration_id = 1")
    assert.strictEqual((yield* Effect.flip(snapshots.restore(newer, database)))._tag, "RegistryTooNew")
    const stranger = changed("stranger.db", "DROP TABLE meta")
    assert.match((yield* Effect.flip(snapshots.restore(stranger, database))).message, /no registry of MCP/)
    const text = join(dir, "text.db")
    writeFileSync(text, "hello".repeat(1_000))
    assert.match((yield* Effect.flip(snapshots.restore(text, database))).message, /damaged, or no database/)
    assert.match((yield* Effect.flip(snapshots.restore(join(dir, "none.db"), database))).message, /no such file/)
    assert.match((yield* Effect.flip(snapshots.restore(dir, database))).message, /no such file/)
    chmodSync(file, 0o600)
    assert.strictEqual(yield* idOf(database), id)
    assert.deepStrictEqual(
      readdirSync(dir).filter((name) => /draft|before/.test(name)),
      []
    )
  }).pipe(Effect.provide(SqliteSnapshots.layer))
)
