import { execFileSync, spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Either, Fiber, Stream } from "effect"
import { type Header, pack } from "tar-stream"
import { afterAll } from "vitest"
import { sumLine } from "../../src/domain/Sha256Sums.ts"
import { temporaryFolder } from "../support/folder.ts"
import { sqliteProgram } from "../support/sqliteProgram.ts"
import { headerOf, pictureOf, pieces, world } from "./serviceData.ts"

const MIB = 1024 * 1024
const sqlite = sqliteProgram()
const mounted: Array<string> = []
afterAll(() => {
  for (const at of mounted) execFileSync("umount", ["--lazy", at])
})

type Part = { readonly header: Partial<Header> & { readonly name: string }; readonly bytes?: Buffer }

const file = (name: string, bytes: Buffer | string = "x", more: Partial<Header> = {}): Part => ({
  header: { name, mode: 0o644, type: "file", ...more },
  bytes: Buffer.from(bytes)
})
const other = (name: string, type: Header["type"], more: Partial<Header> = {}): Part => ({
  header: { name, type, mode: 0o755, ...more }
})
const link = (name: string, linkname: string): Part => other(name, "symlink", { linkname })

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest()
const head = (over: Record<string, unknown> = {}) =>
  file(".mcp-snapshot.json", JSON.stringify({ ...headerOf(), ...over }))
const sums = (parts: ReadonlyArray<Part>) =>
  file(
    ".mcp-snapshot.sha256",
    parts
      .flatMap(({ bytes, header }) =>
        header.type === "file" ? [sumLine(header.name, sha256(bytes ?? Buffer.alloc(0)))] : []
      )
      .join("")
  )

const zstd = (bytes: Buffer) => execFileSync("zstd", ["-q", "-c"], { input: bytes, maxBuffer: 64 * MIB })
const tar = async (parts: ReadonlyArray<Part>): Promise<Buffer> => {
  const made = pack()
  for (const { bytes, header } of parts)
    bytes === undefined ? made.entry({ ...header }) : made.entry({ ...header }, bytes)
  made.finalize()
  const chunks: Array<Buffer> = []
  for await (const chunk of made) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
/** With a right beginning and end. */
const whole = (...parts: ReadonlyArray<Part>) =>
  Effect.promise(() => tar([head(), ...parts, sums([head(), ...parts])]).then(zstd))

const state = (filesRoot: string) => [
  fs.readdirSync(filesRoot),
  fs.readdirSync(join(filesRoot, "shop")),
  pictureOf(join(filesRoot, "shop"))
]

const furnished = () => {
  const made = world(sqlite)
  fs.writeFileSync(join(made.filesRoot, "outside"), "outside")
  fs.mkdirSync(join(made.root, "d"))
  fs.writeFileSync(join(made.root, "d/f"), "as it was")
  return { ...made, before: state(made.filesRoot) }
}

/** It is refused for this reason, and there is nothing left of it. */
const refused = (bytes: Buffer, why: RegExp) =>
  Effect.gen(function* () {
    const { before, filesRoot, stage } = furnished()
    const error = yield* Effect.flip(stage(bytes))
    assert.strictEqual(error._tag, "ArchiveUnusable", error.message)
    assert.match(error.message, /^the snapshot cannot be used: .*; the data is as it was$/s)
    assert.match(error.message, why)
    assert.deepStrictEqual(state(filesRoot), before)
    fs.rmSync(filesRoot, { recursive: true })
  })

describe("an archive that somebody else has made", () => {
  it.effect("is taken when it keeps to the form", () =>
    Effect.gen(function* () {
      const { stage } = furnished()
      const made = yield* whole(other("d/", "directory"), file("d/f"), link("d/l", "../d/f"), file("g", ""))
      assert.deepStrictEqual((yield* stage(made)).totals, { files: 3, bytes: 1 })
    })
  )

  const database = () => {
    const at = join(temporaryFolder(), "x.db")
    execFileSync(process.execPath, [
      "-e",
      `new (require("better-sqlite3"))(${JSON.stringify(at)}).exec("CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(9000))")`
    ])
    return fs.readFileSync(at)
  }
  const twisted = () => {
    const bytes = database()
    bytes.fill(0xff, 4096, 4200)
    return bytes
  }

  const cases: ReadonlyArray<readonly [string, () => ReadonlyArray<Part>, RegExp]> = [
    ["leads out by ..", () => [file("../outside")], /holds a \.\./],
    ["leads out from below", () => [file("d/../../outside")], /holds a \.\./],
    ["is absolute", () => [file("/etc/x")], /is absolute/],
    ["names a folder that leads out", () => [other("../x/", "directory")], /holds a \.\./],
    ["writes to where restores are kept", () => [file(".mcp-partial/x")], /lies in \.mcp-partial/],
    ["holds a backslash", () => [file("a\\b")], /backslash/],
    ["holds a link to an absolute path", () => [link("l", "/etc/passwd")], /leads out/],
    ["holds a link that climbs out", () => [link("d/l", "../../outside")], /leads out/],
    ["holds a link that climbs out late", () => [link("l", "d/../../outside")], /leads out/],
    [
      "writes through a link",
      () => [other("d/", "directory"), link("l", "d"), file("l/f")],
      /is a link, and links are not followed/
    ],
    ["makes a folder of a link", () => [link("l", "d"), other("l/", "directory")], /is a link/],
    ["writes over a link", () => [link("l", "d"), file("l")], /comes twice/],
    ["holds a device", () => [other("dev", "character-device", { devmajor: 1, devminor: 3 })], /a character-device/],
    ["holds a FIFO", () => [other("fifo", "fifo")], /a fifo/],
    ["holds a hard link", () => [file("a"), other("b", "link", { linkname: "a" })], /a hard link/],
    ["holds a file twice", () => [file("a"), file("b"), file("a")], /twice/],
    ["holds a folder twice", () => [other("a/", "directory"), other("a/", "directory")], /twice/],
    ["holds a file where a folder is", () => [other("a/", "directory"), file("a")], /twice|is a folder/],
    ["goes through a file", () => [file("a"), file("a/b")], /a is a file, and is no folder for a\/b/],
    ["is too deep", () => [file(`${"d/".repeat(300)}f`)], /more than 256 parts/],
    ["has a name that is too long", () => [file("n".repeat(300))], /more than 255 bytes/],
    ["has an owner that is none", () => [file("a", "x", { pax: { uid: "-1" } })], /owner makes no sense/],
    ["has a time that is none", () => [file("a", "x", { pax: { mtime: "soon" } })], /time makes no sense/],
    ["has a second header", () => [head()], /second header/],
    ["holds a damaged database", () => [file("x.db", twisted())], /a database in it, x\.db: /],
    ["holds what only looks like a database", () => [file("x", "SQLite format 3\0")], /a database in it, x: /],
    [
      "holds a log that would change a database",
      () => [file("x.db", database()), file("x.db-wal", "log")],
      /x\.db-wal beside a database/
    ]
  ]
  for (const [what, parts, why] of cases) {
    it.effect(`and that ${what} is refused whole`, () =>
      Effect.flatMap(whole(...parts()), (bytes) => refused(bytes, why))
    )
  }

  const made = (parts: ReadonlyArray<Part>) => Effect.promise(() => tar(parts).then(zstd))
  const plain = [head(), file("a"), file("b", "bb")]
  const raw: ReadonlyArray<readonly [string, () => Effect.Effect<Buffer>, RegExp]> = [
    ["is empty", () => Effect.succeed(Buffer.alloc(0)), /cut before|it is empty|zstd says/],
    ["is no zstd", () => Effect.succeed(randomBytes(3_000)), /zstd says: unsupported format/],
    ["is no tar", () => Effect.succeed(zstd(randomBytes(3_000))), /it is damaged: Invalid tar header/],
    ["has no header", () => made([file("a"), sums([file("a")])]), /does not begin with a snapshot's header/],
    ["has a header of no form", () => made([file(".mcp-snapshot.json", "{"), sums([])]), /does not begin/],
    [
      "is of a form to come",
      () => made([head({ version: 2 }), sums([head({ version: 2 })])]),
      /form 2, and this agent knows form 1 only/
    ],
    ["lacks a part of its header", () => made([head({ covers: "some" }), sums([])]), /header is of another form/],
    ["has no end", () => made(plain), /cut before its end/],
    ["goes on after its end", () => made([...plain, sums(plain), file("c")]), /more comes after its end/],
    ["lacks a digest", () => made([...plain, sums(plain.slice(0, 2))]), /b is not what was packed/],
    [
      "has a wrong digest",
      () => made([...plain, sums([head(), file("a", "y"), file("b", "bb")])]),
      /a is not what was packed/
    ],
    [
      "has another header's digest",
      () => made([...plain, sums([head({ node: "x" }), ...plain.slice(1)])]),
      /its header is not the one/
    ],
    ["lacks a file", () => made([head(), file("a"), sums(plain)]), /names files that are not in it/],
    [
      "holds more than it says",
      () => made([head({ covers: "known" }), file("a.txt"), sums([head({ covers: "known" }), file("a.txt")])]),
      /which it says it does not/
    ],
    [
      "holds what it excludes",
      () => made([head({ excludes: ["d"] }), file("d/a"), sums([head({ excludes: ["d"] }), file("d/a")])]),
      /which it says it does not/
    ],
    [
      "is followed by something",
      () => Effect.promise(async () => Buffer.concat([zstd(await tar([...plain, sums(plain)])), Buffer.from("more")])),
      /zstd says/
    ],
    [
      "is followed by another",
      () =>
        Effect.promise(async () => {
          const one = zstd(await tar([...plain, sums(plain)]))
          return Buffer.concat([one, one])
        }),
      /more comes after its end/
    ]
  ]
  for (const [what, bytes, why] of raw) {
    it.effect(`and that ${what} is refused whole`, () => Effect.flatMap(bytes(), (some) => refused(some, why)))
  }
})

describe("of an archive that is damaged on its way", () => {
  const archived = Effect.gen(function* () {
    const here = world(sqlite)
    fs.mkdirSync(join(here.root, "d"))
    fs.writeFileSync(join(here.root, "d/f"), randomBytes(600))
    fs.writeFileSync(join(here.root, "g"), "g".repeat(5_000))
    fs.symlinkSync("d/f", join(here.root, "l"))
    return { bytes: (yield* here.archive()).bytes, picture: pictureOf(here.root) }
  })
  const staging = (damaged: Buffer, picture: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const there = world(sqlite)
      const result = yield* Effect.either(there.stage(damaged))
      if (Either.isRight(result)) {
        // A bit that says nothing of the content may be another one.
        yield* there.run((data) => data.replace("shop", "r1"))
        assert.deepStrictEqual(pictureOf(there.root), picture)
      } else {
        assert.strictEqual(result.left._tag, "ArchiveUnusable")
        assert.deepStrictEqual(fs.readdirSync(there.root), [])
      }
      fs.rmSync(there.filesRoot, { recursive: true })
      return Either.isRight(result)
    })

  it.effect("nothing is used when it is cut, wherever", () =>
    Effect.gen(function* () {
      const { bytes, picture } = yield* archived
      for (let i = 0; i < 30; i += 1) {
        const at = i < 4 ? i : i < 8 ? bytes.length - (i - 3) : Math.floor(Math.random() * bytes.length)
        assert.isFalse(yield* staging(bytes.subarray(0, at), picture), `cut at ${at}`)
      }
    })
  )

  it.effect("no flipped bit ever gives other data", () =>
    Effect.gen(function* () {
      const { bytes, picture } = yield* archived
      let taken = 0
      for (let i = 0; i < 60; i += 1) {
        const damaged = Buffer.from(bytes)
        const bit = i < 24 ? i : Math.floor(Math.random() * bytes.length * 8)
        damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
        if (yield* staging(damaged, picture)) taken += 1
      }
      assert.isBelow(taken, 10)
    })
  )
})

describe("staging", () => {
  it.effect("that fails, by its stream or by whoever waits, leaves nothing", () =>
    Effect.gen(function* () {
      const here = world(sqlite)
      fs.writeFileSync(join(here.root, "big"), randomBytes(8 * MIB))
      const { bytes } = yield* here.archive()
      const { before, filesRoot, run } = furnished()
      const half = pieces(bytes.subarray(0, bytes.length / 2))
      const failing = Stream.concat(half, Stream.fail("the line is cut" as const))
      const error = yield* Effect.flip(run((data) => data.stage("shop", "r", failing, () => Effect.void)))
      assert.strictEqual(error, "the line is cut")
      assert.deepStrictEqual(state(filesRoot), before)

      const waits = yield* Deferred.make<void>()
      const hanging = Stream.concat(
        half,
        Stream.drain(Stream.fromEffect(Deferred.succeed(waits, undefined).pipe(Effect.zipRight(Effect.never))))
      )
      const fiber = yield* Effect.fork(run((data) => data.stage("shop", "r", hanging, () => Effect.void)))
      yield* Deferred.await(waits)
      assert.isTrue(fs.existsSync(join(filesRoot, "shop/.mcp-partial/restore-r")))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(state(filesRoot), before)
    })
  )

  it.effect("for a service without a folder leaves none when it fails", () =>
    Effect.gen(function* () {
      const { filesRoot, stage } = world(sqlite)
      yield* Effect.flip(stage(randomBytes(100), "r", "fresh"))
      assert.deepStrictEqual(fs.readdirSync(filesRoot), ["shop"])
    })
  )

  it.effect("again under the same id begins anew", () =>
    Effect.gen(function* () {
      const { root, run, stage } = furnished()
      yield* stage(yield* whole(file("a")))
      yield* stage(yield* whole(file("b")))
      yield* run((data) => data.replace("shop", "r1"))
      yield* run((data) => data.discard("shop", "r1"))
      assert.deepStrictEqual(fs.readdirSync(root), ["b"])
    })
  )

  it.effect.runIf(process.getuid?.() === 0)(
    "on a disk that gets full is a clear error, and works once there is space",
    () =>
      Effect.gen(function* () {
        const here = world(sqlite)
        for (let i = 0; i < 40; i += 1) fs.writeFileSync(join(here.root, `f${i}`), randomBytes(MIB))
        const { bytes } = yield* here.archive()
        const disk = temporaryFolder()
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=100m", "tmpfs", disk])
        mounted.push(disk)
        const { root, run, stage } = world(sqlite, {}, disk)
        fs.writeFileSync(join(root, "f0"), "as it was")
        const filler = join(disk, "filler")
        for (const free of [1, 17, 30, 55]) {
          const { bavail, bsize } = fs.statfsSync(disk)
          execFileSync("fallocate", ["-l", String(bavail * bsize - free * MIB), filler])
          const error = yield* Effect.flip(stage(bytes))
          assert.strictEqual(error._tag, "FilesDiskFull", error.message)
          assert.deepStrictEqual(fs.readdirSync(root), ["f0"])
          fs.rmSync(filler)
        }
        // A full disk keeps nobody from finishing: what takes a place is only renamed.
        yield* stage(bytes)
        const { bavail, bsize } = fs.statfsSync(disk)
        execFileSync("fallocate", ["-l", String(bavail * bsize - 64 * 1024), filler])
        yield* run((data) => data.replace("shop", "r1"))
        assert.strictEqual(fs.statSync(join(root, "f0")).size, MIB)
        yield* run((data) => data.putBack("shop", "r1"))
        assert.strictEqual(fs.readFileSync(join(root, "f0"), "utf8"), "as it was")
      })
  )
})

it.effect("folders that are swapped for links all the while lead no archive and no restore outside", () =>
  Effect.gen(function* () {
    const { archive, filesRoot, root, run, stage } = world(sqlite)
    fs.mkdirSync(join(filesRoot, "other"))
    for (const name of ["f", "g", "h.toml"]) fs.writeFileSync(join(filesRoot, "other", name), "SECRET")
    fs.mkdirSync(join(root, "d"))
    for (const name of ["f", "g", "h.toml"]) fs.writeFileSync(join(root, "d", name), "own")
    const outside = pictureOf(join(filesRoot, "other"))
    const good = (yield* archive()).bytes
    const swap = spawn(
      process.execPath,
      [
        "-e",
        `const fs = require("fs"); process.chdir(${JSON.stringify(root)})
         const wait = () => { for (let i = Math.random() * 1e5; i > 0; i--); }
         for (;;) { try { fs.renameSync("d", "e") } catch {} try { fs.symlinkSync("../other", "d") } catch {} wait()
                    try { fs.unlinkSync("d") } catch {} try { fs.renameSync("e", "d") } catch {} wait() }`
      ],
      { stdio: "ignore" }
    )
    try {
      for (let round = 0; round < 15; round += 1) {
        const result = yield* Effect.either(archive())
        if (Either.isRight(result)) {
          const text = execFileSync("zstd", ["-q", "-d", "-c"], { input: result.right.bytes }).toString("latin1")
          assert.notInclude(text, "SECRET")
        }
        yield* stage(good, `r${round}`)
        yield* Effect.ignore(run((data) => data.replace("shop", `r${round}`)))
        yield* Effect.ignore(run((data) => data.putBack("shop", `r${round}`)))
        yield* Effect.ignore(run((data) => data.discard("shop", `r${round}`)))
        assert.deepStrictEqual(pictureOf(join(filesRoot, "other")), outside)
      }
    } finally {
      swap.kill("SIGKILL")
    }
  })
)
