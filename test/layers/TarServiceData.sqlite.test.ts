import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, Stream } from "effect"
import { sqliteProgram } from "../support/sqliteProgram.ts"
import { headerOf, world } from "./serviceData.ts"

const sqlite = sqliteProgram()
const require = createRequire(import.meta.url)
const isRoot = process.getuid?.() === 0
const writerFile = fileURLToPath(new URL("sqliteWriter.mjs", import.meta.url))

/** A program that writes to a database until the scope ends, and how many transactions it has done. */
const writer = (file: string, mode: "WAL" | "DELETE") =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn(process.execPath, [writerFile, file, mode], { stdio: ["ignore", "pipe", "inherit"] })
      const state = { done: 0, child }
      await new Promise<void>((resolve) =>
        child.stdout.on("data", (bytes: Buffer) => {
          state.done = Number(bytes.toString().trim().split("\n").at(-1))
          resolve()
        })
      )
      return state
    }),
    ({ child }) =>
      Effect.promise(
        () =>
          new Promise<void>((resolve) => {
            child.once("close", () => resolve())
            child.kill("SIGKILL")
          })
      )
  )

const listing = (root: string) =>
  fs.readdirSync(root).map((name) => {
    const { gid, mode, uid } = fs.statSync(join(root, name))
    return `${name} ${uid}:${gid} ${(mode & 0o777).toString(8)}`
  })

const restored = (bytes: Buffer) =>
  Effect.gen(function* () {
    const there = world(sqlite)
    yield* there.stage(bytes)
    yield* there.run((data) => data.replace("shop", "r1"))
    return there.root
  })

const read = <A>(file: string, use: (db: Database.Database) => A): A => {
  const db = new Database(file, { fileMustExist: true })
  try {
    return use(db)
  } finally {
    db.close()
  }
}

describe("a database", () => {
  for (const mode of ["WAL", "DELETE"] as const) {
    it.scopedLive(`that a program writes to all the while (${mode}) is in each archive as one state of it`, () =>
      Effect.gen(function* () {
        const { archive, root } = world(sqlite)
        const file = join(root, "data.sqlite")
        const program = yield* writer(file, mode)
        for (let round = 0; round < 5; round += 1) {
          const before = program.done
          const { bytes, leftOut } = yield* archive()
          const after = program.done + 1
          assert.deepStrictEqual(leftOut, [])
          const copy = yield* restored(bytes)
          assert.deepStrictEqual(fs.readdirSync(copy).sort(), [".mcp-partial", "data.sqlite"])
          read(join(copy, "data.sqlite"), (db) => {
            assert.strictEqual(db.pragma("integrity_check", { simple: true }), "ok")
            assert.strictEqual(db.pragma("journal_mode", { simple: true }), mode.toLowerCase())
            const { rows, whole } = db
              .prepare("SELECT COUNT(*) AS rows, COUNT(*) = SUM(twin IN (SELECT n FROM t)) AS whole FROM t")
              .get() as { rows: number; whole: number }
            assert.strictEqual(whole, 1)
            assert.isTrue(rows / 2 >= before && rows / 2 <= after, `${before} <= ${rows / 2} <= ${after}`)
          })
        }
        const last = program.done
        yield* Effect.promise(() => new Promise<void>((resolve) => program.child.stdout?.once("data", () => resolve())))
        assert.isAbove(program.done, last, "the program goes on")
      })
    )
  }

  it.effect("is read without a change to its files, their owner or mode", () =>
    Effect.gen(function* () {
      const { archive, filesRoot, root } = world(sqlite)
      const make = (name: string, mode: string, open: boolean) => {
        const file = join(root, name)
        const db = new Database(file)
        db.pragma(`journal_mode = ${mode}`)
        db.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        if (!open) db.close()
        return db
      }
      const open = make("open.db", "WAL", true)
      make("closed.db", "WAL", false)
      make("plain.db", "DELETE", false)
      // Whose program died: the log is all that has the row.
      const died = make("died.db", "WAL", true)
      fs.copyFileSync(join(root, "died.db"), join(root, "left.db"))
      fs.copyFileSync(join(root, "died.db-wal"), join(root, "left.db-wal"))
      died.close()
      for (const name of fs.readdirSync(root)) {
        if (isRoot) fs.chownSync(join(root, name), 1234, 1234)
        fs.chmodSync(join(root, name), 0o640)
      }
      const before = listing(root)
      const bytes = Object.fromEntries(
        fs
          .readdirSync(root)
          .filter((name) => /db$|wal$/.test(name))
          .map((name) => [name, fs.readFileSync(join(root, name))])
      )
      const { bytes: archived, leftOut } = yield* archive({ covers: "known" })
      assert.deepStrictEqual(leftOut, [])
      const made = isRoot ? "left.db-shm 1234:1234 640" : undefined
      assert.deepStrictEqual(
        listing(root).filter((line) => line !== made),
        before
      )
      for (const [name, was] of Object.entries(bytes))
        assert.isTrue(fs.readFileSync(join(root, name)).equals(was), name)
      assert.deepStrictEqual(fs.readdirSync(filesRoot), ["shop"])
      open.exec("INSERT INTO t VALUES (2)")
      open.close()
      const copy = yield* restored(archived)
      const rows = (name: string) => read(join(copy, name), (db) => db.prepare("SELECT COUNT(*) AS n FROM t").get())
      for (const name of ["open.db", "closed.db", "plain.db", "left.db"])
        assert.deepStrictEqual(rows(name), { n: 1 }, name)
      assert.isTrue(fs.statSync(join(copy, "open.db")).mode.toString(8).endsWith("640"))
    })
  )

  it.effect("whose program died in the middle of a transaction is put right first, as its next start would", () =>
    Effect.gen(function* () {
      const { archive, root } = world(sqlite)
      const db = new Database(join(root, "hot.db"))
      db.exec("CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(200000))")
      db.pragma("cache_size = 1")
      db.exec("BEGIN; UPDATE t SET a = randomblob(300000); INSERT INTO t VALUES (2)")
      for (const name of ["hot.db", "hot.db-journal"])
        fs.copyFileSync(join(root, name), join(root, name.replace("hot", "x")))
      db.exec("ROLLBACK")
      db.close()
      fs.rmSync(join(root, "hot.db"))
      const copy = yield* restored((yield* archive()).bytes)
      const facts = read(join(copy, "x.db"), (db) =>
        db.prepare("SELECT COUNT(*) AS n, MAX(LENGTH(a)) AS l FROM t").get()
      )
      assert.deepStrictEqual(facts, { n: 1, l: 200_000 })
    })
  )

  it.effect(
    "that stays locked, or is damaged, fails the archive by name and with what to do; excluded, it does not",
    () =>
      Effect.gen(function* () {
        const { archive, filesRoot, root } = world(sqlite, { busyMs: 200 })
        // In a process of its own, as locks belong to a process.
        const holder = spawn(
          process.execPath,
          [
            "-e",
            `const db = new (require(${JSON.stringify(require.resolve("better-sqlite3"))}))(${JSON.stringify(join(root, "locked.db"))})
           db.exec("CREATE TABLE t (a); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)")
           console.log("locked"); setInterval(() => {}, 1000)`
          ],
          { stdio: ["ignore", "pipe", "inherit"] }
        )
        yield* Effect.promise(() => once(holder.stdout, "data"))
        const locked = yield* Effect.flip(archive())
        assert.deepStrictEqual(
          locked.message,
          "the database locked.db could not be copied: another program kept it locked for 0.2 s"
        )
        holder.kill("SIGKILL")
        yield* Effect.promise(() => once(holder, "close"))
        for (const text of ["SQLite format 3\0", `SQLite format 3\0${"x".repeat(8_000)}`]) {
          fs.writeFileSync(join(root, "bad"), text)
          const damaged = yield* Effect.flip(archive())
          assert.strictEqual(damaged._tag, "DatabaseNotCopied")
          assert.match(damaged.message, /^the database bad could not be copied: .*damaged.*\[snapshot\] excludes$/)
        }
        assert.strictEqual((yield* archive({ excludes: ["bad"] })).done?.files, 1)
        assert.deepStrictEqual(fs.readdirSync(filesRoot), ["shop"])
      })
  )

  it.effect("whose copy is cut short leaves no copy, and what killed agents have left goes at the next start", () =>
    Effect.gen(function* () {
      const { archive, filesRoot, root, run } = world(sqlite)
      const db = new Database(join(root, "x.db"))
      db.exec("CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(50000000))")
      db.close()
      // The header's bytes come before the copy is over.
      yield* run((data) => data.archive(headerOf()).pipe(Stream.runDrain, Effect.timeout("150 millis"), Effect.ignore))
      assert.deepStrictEqual(fs.readdirSync(filesRoot), ["shop"])
      fs.mkdirSync(join(filesRoot, ".mcp-copies"))
      fs.writeFileSync(join(filesRoot, ".mcp-copies/once-1.db"), "")
      fs.writeFileSync(join(filesRoot, ".mcp-copies/once-1.db-journal"), "")
      yield* archive({ excludes: ["*"] })
      assert.deepStrictEqual(fs.readdirSync(filesRoot), ["shop"])
    })
  )

  it.effect("that others swap for links to another one all the while gives a copy of itself, or none", () =>
    Effect.gen(function* () {
      const { archive, filesRoot, root } = world(sqlite)
      const make = (file: string, value: string) => {
        fs.mkdirSync(join(file, ".."), { recursive: true })
        const db = new Database(file)
        db.exec("CREATE TABLE t (a)")
        db.prepare("INSERT INTO t VALUES (?)").run(value)
        db.close()
      }
      make(join(root, "d/x.db"), "own")
      make(join(filesRoot, "other/x.db"), "SECRET")
      const swap = spawn(
        process.execPath,
        [
          "-e",
          `const fs = require("fs"); process.chdir(${JSON.stringify(root)})
           for (;;) { fs.renameSync("d", "e"); fs.symlinkSync("../other", "d"); for (let i = Math.random() * 3e5; i > 0; i--);
                      fs.unlinkSync("d"); fs.renameSync("e", "d"); for (let i = Math.random() * 3e5; i > 0; i--); }`
        ],
        { stdio: "ignore" }
      )
      try {
        let copied = 0
        for (let round = 0; round < 12; round += 1) {
          const result = yield* Effect.either(archive())
          if (result._tag === "Left") continue
          const copy = yield* restored(result.right.bytes)
          for (const file of fs
            .readdirSync(copy, { recursive: true })
            .map(String)
            .filter((name) => name.endsWith("x.db"))) {
            copied += 1
            assert.deepStrictEqual(
              read(join(copy, file), (db) => db.prepare("SELECT a FROM t").get()),
              { a: "own" }
            )
          }
        }
        assert.isAbove(copied, 0, "some were copied")
      } finally {
        swap.kill("SIGKILL")
      }
    })
  )
})
