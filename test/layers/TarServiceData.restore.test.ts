import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { afterAll } from "vitest"
import * as ConfinedFiles from "../../src/layers/ConfinedFiles.ts"
import { FileTransfer } from "../../src/services/FileTransfer.ts"
import { sqliteProgram } from "../support/sqliteProgram.ts"
import { pictureOf, world } from "./serviceData.ts"

const sqlite = sqliteProgram()

const write = (root: string, files: Readonly<Record<string, string>>) => {
  for (const [path, text] of Object.entries(files)) {
    fs.mkdirSync(join(root, path, ".."), { recursive: true })
    fs.writeFileSync(join(root, path), text)
  }
}
const database = (file: string, value: string) => {
  fs.mkdirSync(join(file, ".."), { recursive: true })
  const db = new Database(file)
  db.pragma("journal_mode = WAL")
  db.exec("CREATE TABLE t (a)")
  db.prepare("INSERT INTO t VALUES (?)").run(value)
  return db
}

const excludes = ["*.tmp", "cache"]

/** What the archive holds, and nothing of which is like what is there. */
const plantNew = (root: string) => {
  write(root, {
    "both.toml": "new",
    "only-new.toml": "new",
    "a/b/c.pem": "new",
    "was-folder.toml": "new",
    "was-file.d/x.toml": "new",
    "was-link/x.toml": "new",
    "other.txt": "new"
  })
  fs.mkdirSync(join(root, "empty-new"))
  fs.symlinkSync("both.toml", join(root, "link.toml"))
  fs.chmodSync(join(root, "a"), 0o711)
  database(join(root, "data/app.db"), "new").close()
}
const plantOld = (root: string) => {
  write(root, {
    "both.toml": "old",
    "only-old.toml": "old",
    "a/b/old.txt": "old",
    "gone/deep/x.pem": "old",
    "gone/keep.tmp": "excluded",
    "cache/x.toml": "excluded",
    "was-file.d": "old",
    "was-folder.toml/in/x.toml": "old",
    "was-folder.toml/y.tmp": "excluded, and in the way",
    "link.toml": "old",
    twice: "old"
  })
  for (const folder of ["empty-old", "a/empty"]) fs.mkdirSync(join(root, folder))
  fs.linkSync(join(root, "twice"), join(root, "a/twice.toml"))
  fs.symlinkSync("a", join(root, "was-link"))
  fs.symlinkSync("/etc/passwd", join(root, "out.toml"))
  execFileSync("mkfifo", [join(root, "fifo")])
  fs.chmodSync(join(root, "a"), 0o750)
  fs.chmodSync(join(root, "gone"), 0o700)
  fs.utimesSync(join(root, "empty-old"), 1e9, 1e9)
  // Whose program has died, so that its log counts.
  const db = database(join(root, "data/app.db.copy"), "old")
  for (const end of ["", "-wal", "-shm"])
    fs.copyFileSync(join(root, `data/app.db.copy${end}`), join(root, `data/app.db${end}`))
  db.close()
  fs.rmSync(join(root, "data/app.db.copy"))
}

/** A folder with old data and a staged restore, to be copied as often as it is needed. */
const template = (covers: "all" | "known") =>
  Effect.gen(function* () {
    const source = world(sqlite)
    plantNew(source.root)
    const { bytes } = yield* source.archive({ covers, excludes })
    const here = world(sqlite)
    plantOld(here.root)
    const old = pictureOf(here.root)
    yield* here.stage(bytes)
    return { filesRoot: here.filesRoot, old }
  })

/** A folder that stays has the time of the restore. */
const timeless = (root: string) => pictureOf(root).map((line) => line.replace(/( folder \d+ \d+ \d+) \d+/, "$1"))

// `make fault` goes through all steps, each other run through some.
const EACH = process.env.MCP_FAULT === "full" ? 1 : 9
const first = () => 1 + Math.floor(Math.random() * EACH)
const copies: Array<string> = []
afterAll(() => {
  for (const folder of copies) fs.rmSync(folder, { recursive: true, force: true })
})

class Cut extends Error {}

/** A copy, on which a restore's steps are counted, and cut at one of them. */
const copyOf = (filesRoot: string) => {
  // In memory where there is such a place: each phase waits for the disk.
  const to = fs.mkdtempSync(join(fs.existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "mcp-restore-"))
  copies.push(to)
  execFileSync("cp", ["-a", `${filesRoot}/.`, to])
  let steps = 0
  let cutAt = Number.POSITIVE_INFINITY
  const step = () => {
    steps += 1
    if (steps === cutAt) throw new Cut("killed")
  }
  const { root, run } = world(sqlite, { step }, to)
  const say = (what: "replace" | "putBack") => run((data) => data[what]("shop", "r1"))
  return {
    root,
    run,
    whole: say,
    /** Whether it came to its end before that. */
    cut: (what: "replace" | "putBack", at: number) =>
      Effect.suspend(() => {
        steps = 0
        cutAt = at
        return Effect.either(say(what)).pipe(
          Effect.map((result) => {
            cutAt = Number.POSITIVE_INFINITY
            if (result._tag === "Left") assert.match(result.left.message, /killed/)
            return result._tag === "Right"
          })
        )
      }),
    end: Effect.sync(() => fs.rmSync(to, { recursive: true }))
  }
}

const rows = (file: string) => {
  const db = new Database(file)
  try {
    return db.prepare("SELECT a FROM t").pluck().all()
  } finally {
    db.close()
  }
}

describe("a restore", () => {
  it.effect("of all replaces all that is covered, and leaves what is excluded or cannot be kept in an archive", () =>
    Effect.gen(function* () {
      const { filesRoot } = yield* template("all")
      const { root, run, whole } = copyOf(filesRoot)
      const kept = fs.statSync(join(root, "a/b")).ino
      yield* whole("replace")
      yield* whole("replace")
      yield* run((data) => data.discard("shop", "r1"))
      const found = fs.readdirSync(root, { recursive: true }).map(String).sort()
      assert.deepStrictEqual(found, [
        ...["a", "a/b", "a/b/c.pem", "both.toml", "cache", "cache/x.toml", "data", "data/app.db", "empty-new", "fifo"],
        ...["gone", "gone/keep.tmp", "link.toml", "only-new.toml", "other.txt", "out.toml"],
        ...["was-file.d", "was-file.d/x.toml", "was-folder.toml", "was-link", "was-link/x.toml"]
      ])
      assert.strictEqual(fs.readFileSync(join(root, "both.toml"), "utf8"), "new")
      assert.strictEqual(fs.statSync(join(root, "a")).mode & 0o777, 0o711)
      assert.strictEqual(fs.statSync(join(root, "a/b")).ino, kept, "the folder that a container has is the same")
      assert.deepStrictEqual(rows(join(root, "data/app.db")), ["new"])
    })
  )

  it.effect("of what is known replaces that alone, a database with its log", () =>
    Effect.gen(function* () {
      const { filesRoot } = yield* template("known")
      const { root, run, whole } = copyOf(filesRoot)
      yield* whole("replace")
      yield* run((data) => data.discard("shop", undefined))
      const found = fs.readdirSync(root, { recursive: true }).map(String).sort()
      assert.deepStrictEqual(found, [
        ...[
          "a",
          "a/b",
          "a/b/c.pem",
          "a/b/old.txt",
          "a/empty",
          "both.toml",
          "cache",
          "cache/x.toml",
          "data",
          "data/app.db"
        ],
        ...["empty-old", "fifo", "gone", "gone/keep.tmp", "link.toml", "only-new.toml", "out.toml", "twice"],
        ...["was-file.d", "was-file.d/x.toml", "was-folder.toml", "was-link", "was-link/x.toml"]
      ])
      assert.strictEqual(fs.statSync(join(root, "a")).mode & 0o777, 0o750, "a folder that was there stays as it was")
      assert.deepStrictEqual(rows(join(root, "data/app.db")), ["new"])
    })
  )

  for (const covers of ["all", "known"] as const) {
    it.effect(
      `of ${covers} that is cut at any step ends as the new data or exactly as the old`,
      () =>
        Effect.gen(function* () {
          const { filesRoot, old } = yield* template(covers)
          const uncut = copyOf(filesRoot)
          yield* uncut.whole("replace")
          const wanted = timeless(uncut.root)
          yield* uncut.whole("putBack")
          assert.deepStrictEqual(pictureOf(uncut.root), old, "put back after all of it")
          for (let at = first(), over = false; !over; at += EACH) {
            const forward = copyOf(filesRoot)
            over = yield* forward.cut("replace", at)
            yield* forward.whole("replace")
            assert.deepStrictEqual(timeless(forward.root), wanted, `cut at ${at}, and gone on`)
            // And the way back is cut as well, each time elsewhere.
            yield* forward.cut("putBack", at)
            yield* forward.whole("putBack")
            assert.deepStrictEqual(pictureOf(forward.root), old, `way back cut at ${at}`)

            const back = copyOf(filesRoot)
            yield* back.cut("replace", at)
            yield* back.cut("putBack", 1 + ((at * 7) % 11))
            if (at % 2 === 0) yield* back.whole("putBack")
            else yield* back.run((data) => data.discard("shop", "r1"))
            assert.deepStrictEqual(pictureOf(back.root), old, `cut at ${at}, and put back`)
            yield* forward.end
            yield* back.end
            assert.isBelow(at, 500)
          }
        }),
      300_000
    )
  }

  it.effect(
    "that is staged, half in place or over outlives the start of an agent; what was not staged whole does not",
    () =>
      Effect.gen(function* () {
        const { filesRoot, old } = yield* template("all")
        const sweep = Effect.flatMap(FileTransfer, (files) => files.sweep(["shop"])).pipe(
          Effect.provide(ConfinedFiles.layer(filesRoot))
        )
        const partial = join(filesRoot, "shop/.mcp-partial")
        fs.mkdirSync(join(partial, "restore-cut/new/a"), { recursive: true })
        fs.mkdirSync(join(partial, "discard-r0/old"), { recursive: true })
        yield* sweep
        assert.deepStrictEqual(fs.readdirSync(partial), ["restore-r1"])
        const { root, run } = world(sqlite, {}, filesRoot)
        yield* run((data) => data.replace("shop", "r1"))
        yield* sweep
        yield* run((data) => data.putBack("shop", "r1"))
        assert.deepStrictEqual(pictureOf(root), old)
        yield* run((data) => data.discard("shop", "r1"))
        assert.isFalse(fs.existsSync(partial))
      })
  )

  it.effect("that was never staged cannot take a place; putting back and dropping it change nothing", () =>
    Effect.gen(function* () {
      const { run } = world(sqlite)
      assert.strictEqual((yield* Effect.flip(run((data) => data.replace("shop", "r9"))))._tag, "FileNotFound")
      yield* run((data) => data.putBack("shop", "r9"))
      yield* run((data) => data.discard("shop", "r9"))
      yield* run((data) => data.discard("none", undefined))
      assert.strictEqual((yield* Effect.flip(run((data) => data.replace("shop", "../x"))))._tag, "FileRefused")
    })
  )
})
