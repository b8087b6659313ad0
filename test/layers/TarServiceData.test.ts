import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FastCheck as fc, Stream } from "effect"
import { temporaryFolder } from "../support/folder.ts"
import { sqliteProgram } from "../support/sqliteProgram.ts"
import { headerOf, pictureOf, world } from "./serviceData.ts"

const MIB = 1024 * 1024
const sqlite = sqliteProgram()
const isRoot = process.getuid?.() === 0

type Node =
  | { readonly _tag: "File"; readonly size: number; readonly mode: number; readonly ms: number; readonly owner: number }
  | { readonly _tag: "Link"; readonly target: string }
  | { readonly _tag: "Folder"; readonly mode: number; readonly below: ReadonlyArray<readonly [string, Node]> }

const name = fc.oneof(
  fc.constantFrom(
    "a",
    "b.toml",
    "x y",
    "new\nline",
    "\u00fc\u4e2d",
    "-rf",
    "a=b",
    "..x",
    "n".repeat(101),
    "\u00e9".repeat(127)
  ),
  fc.string({ minLength: 1, maxLength: 8, unit: "grapheme-ascii" }).filter((one) => !/[/\\]|^\.{1,2}$/.test(one))
)
const { tree } = fc.letrec<{ node: Node; tree: ReadonlyArray<readonly [string, Node]> }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small" },
    fc.record({
      _tag: fc.constant("File" as const),
      size: fc.constantFrom(0, 1, 511, 512, 513, 70_000, MIB, MIB + 1),
      mode: fc.integer({ min: 0, max: 0o777 }),
      ms: fc.integer({ min: -1_000_000, max: 5_000_000_000_000 }),
      owner: fc.constantFrom(0, 1000, 100_000, 262_144, 4_000_000_000)
    }),
    fc.record({ _tag: fc.constant("Link" as const), target: fc.constantFrom("a", "x/y", "n".repeat(150)) }),
    fc.record({ _tag: fc.constant("Folder" as const), mode: fc.integer({ min: 0, max: 0o777 }), below: tie("tree") })
  ),
  tree: fc.uniqueArray(fc.tuple(name, tie("node")), { maxLength: 6, selector: ([one]) => one })
}))

const plant = (at: string, nodes: ReadonlyArray<readonly [string, Node]>) => {
  for (const [name, node] of nodes) {
    const path = join(at, name)
    if (node._tag === "Link") fs.symlinkSync(node.target, path)
    else if (node._tag === "File") {
      fs.writeFileSync(path, randomBytes(node.size))
      if (isRoot) fs.chownSync(path, node.owner, node.owner)
      fs.chmodSync(path, node.mode)
      fs.utimesSync(path, node.ms / 1000, node.ms / 1000)
    } else {
      fs.mkdirSync(path)
      plant(path, node.below)
      fs.chmodSync(path, node.mode)
      fs.utimesSync(path, 1e9, 1e9)
    }
  }
}

describe("an archive", () => {
  it.effect(
    "brings back names, contents, modes, owners, times, links and empty folders, whatever they are",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(tree, async (nodes) => {
            const here = world(sqlite)
            const there = world(sqlite)
            plant(here.root, nodes)
            await Effect.runPromise(
              Effect.gen(function* () {
                const { bytes, done, leftOut } = yield* here.archive()
                assert.deepStrictEqual(leftOut, [])
                const staged = yield* there.stage(bytes)
                assert.deepStrictEqual(staged.totals, done)
                yield* there.run((data) => data.replace("shop", "r1"))
                yield* there.run((data) => data.discard("shop", "r1"))
              })
            )
            assert.deepStrictEqual(pictureOf(there.root), pictureOf(here.root))
            assert.isFalse(fs.existsSync(join(there.root, ".mcp-partial")))
            for (const { filesRoot } of [here, there]) fs.rmSync(filesRoot, { recursive: true })
          }),
          { numRuns: 12 }
        )
      ),
    60_000
  )

  it.effect("can be opened and checked by hand with zstd, tar and sha256sum", () =>
    Effect.gen(function* () {
      const { archive, root } = world(sqlite)
      fs.mkdirSync(join(root, "a"))
      fs.writeFileSync(join(root, "a/new\nline"), randomBytes(2 * MIB))
      fs.writeFileSync(join(root, "b"), "b")
      const by = temporaryFolder()
      fs.writeFileSync(join(by, "s.tar.zst"), (yield* archive()).bytes)
      execFileSync("tar", ["--zstd", "-xf", "s.tar.zst"], { cwd: by })
      const said = execFileSync("sha256sum", ["-c", "--strict", ".mcp-snapshot.sha256"], { cwd: by, encoding: "utf8" })
      assert.strictEqual(said.match(/OK$/gm)?.length, 3)
      assert.deepInclude(JSON.parse(fs.readFileSync(join(by, ".mcp-snapshot.json"), "utf8")), {
        service: "shop",
        version: 1
      })
    })
  )

  it.effect("holds what it covers and nothing that is excluded, and never the agent's own folder", () =>
    Effect.gen(function* () {
      const { archive, root } = world(sqlite)
      fs.mkdirSync(join(root, "conf/tls/empty"), { recursive: true })
      fs.mkdirSync(join(root, ".mcp-partial"))
      for (const file of [
        "conf/a.toml",
        "conf/tls/k.pem",
        "conf/tls/k.txt",
        "s.db",
        "x.tmp",
        "conf/cache.toml",
        ".mcp-partial/p.toml"
      ])
        fs.writeFileSync(join(root, file), file)
      const listed = (bytes: Buffer) =>
        execFileSync("tar", ["--zstd", "-t"], { input: bytes, encoding: "utf8" }).trim().split("\n").sort()
      const own = ["./", ".mcp-snapshot.json", ".mcp-snapshot.sha256"]
      const known = yield* archive({ covers: "known", excludes: ["cache*"] })
      assert.deepStrictEqual(
        listed(known.bytes),
        [...own, "conf/", "conf/a.toml", "conf/tls/", "conf/tls/k.pem", "s.db"].sort()
      )
      const all = yield* archive({ excludes: ["*.tmp", "conf/tls"] })
      assert.deepStrictEqual(listed(all.bytes), [...own, "conf/", "conf/a.toml", "conf/cache.toml", "s.db"].sort())
    })
  )

  it.effect("tells of what it leaves out", () =>
    Effect.gen(function* () {
      const { archive, filesRoot, root } = world(sqlite)
      fs.writeFileSync(join(filesRoot, "outside"), "outside")
      execFileSync("mkfifo", [join(root, "fifo")])
      fs.symlinkSync("/etc/passwd", join(root, "out"))
      fs.symlinkSync("../outside", join(root, "up"))
      fs.linkSync(join(filesRoot, "outside"), join(root, "hard"))
      fs.writeFileSync(join(root, "in1"), "twice")
      fs.linkSync(join(root, "in1"), join(root, "in2"))
      fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x66, 0xff])]), "not UTF-8")
      fs.writeFileSync(join(root, "back\\slash"), "")
      fs.writeFileSync(join(root, ".mcp-snapshot.sha256"), "")
      fs.mkdirSync(join(root, "deep"))
      const { bytes, done, leftOut } = yield* archive()
      assert.deepStrictEqual(leftOut.map(({ path }) => path).sort(), [
        ".mcp-snapshot.sha256",
        "back\\slash",
        "f\\x??",
        "fifo",
        "hard",
        "out",
        "up"
      ])
      assert.isTrue(leftOut.every(({ why }) => why.length > 5))
      assert.deepStrictEqual(done, { files: 2, bytes: 10 })
      yield* world(sqlite).stage(bytes)
    })
  )

  it.effect("has a file that only grows as far as it went, and leaves out one that changes otherwise", () =>
    Effect.gen(function* () {
      const here = world(sqlite)
      const size = 24 * MIB
      const files = { log: join(here.root, "1.log"), cut: join(here.root, "2.cut"), same: join(here.root, "3.same") }
      // Larger than all that zstd and the pipes hold between its start and whoever reads.
      for (const file of Object.values(files)) fs.writeFileSync(file, randomBytes(size))
      fs.appendFileSync(files.cut, randomBytes(size))
      const first = fs.readFileSync(files.log)
      let read = 0
      const { bytes, leftOut } = yield* here.run((data) =>
        data.archive(headerOf()).pipe(
          Stream.tap((event) =>
            Effect.sync(() => {
              if (event._tag !== "Bytes") return
              read += event.bytes.length
              // Each of them is being read for a while.
              fs.appendFileSync(files.log, "more\n")
              fs.writeFileSync(files.same, "x", { flag: "r+" })
              if (fs.statSync(files.cut).size > 100 && read > size + 2 * MIB) fs.truncateSync(files.cut, 100)
            })
          ),
          Stream.runFold({ bytes: [] as Array<Uint8Array>, leftOut: [] as Array<string> }, (all, event) => ({
            bytes: event._tag === "Bytes" ? [...all.bytes, event.bytes] : all.bytes,
            leftOut: event._tag === "LeftOut" ? [...all.leftOut, event.leftOut.path] : all.leftOut
          }))
        )
      )
      assert.deepStrictEqual(leftOut, ["3.same"])
      const there = world(sqlite)
      const { totals } = yield* there.stage(Buffer.concat(bytes))
      yield* there.run((data) => data.replace("shop", "r1"))
      assert.deepStrictEqual(fs.readdirSync(there.root).sort(), [".mcp-partial", "1.log", "2.cut"])
      assert.isTrue(fs.readFileSync(join(there.root, "1.log")).subarray(0, size).equals(first))
      // It was read once more after it was cut.
      assert.strictEqual(fs.statSync(join(there.root, "2.cut")).size, 100)
      assert.strictEqual(totals.files, 2)
    })
  )

  it.effect("that nobody takes any more ends at once, and leaves nothing", () =>
    Effect.gen(function* () {
      const { filesRoot, root, run } = world(sqlite)
      fs.writeFileSync(join(root, "big"), randomBytes(40 * MIB))
      const began = yield* Deferred.make<void>()
      const taking = run((data) =>
        data
          .archive(headerOf())
          .pipe(Stream.runForEach(() => Effect.zipRight(Deferred.succeed(began, undefined), Effect.never)))
      )
      const fiber = yield* Effect.fork(taking)
      yield* Deferred.await(began)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([fs.readdirSync(filesRoot), fs.readdirSync(root)], [["shop"], ["big"]])
    })
  )

  it.effect("and a restore say so when zstd is not there", () =>
    Effect.gen(function* () {
      const { archive, root, stage } = world(sqlite, { zstd: "/nonexistent/zstd" })
      fs.writeFileSync(join(root, "f"), "f")
      for (const failed of [yield* Effect.flip(archive()), yield* Effect.flip(stage(randomBytes(MIB)))]) {
        assert.strictEqual(failed._tag, "ArchiverUnusable")
        assert.strictEqual(failed.message, "zstd cannot be run: it is not installed")
      }
      assert.deepStrictEqual(fs.readdirSync(root), ["f"])
    })
  )

  it.effect("of a service without a folder says that there is none", () =>
    Effect.gen(function* () {
      const { archive } = world(sqlite)
      assert.strictEqual((yield* Effect.flip(archive({ service: "none" })))._tag, "FileNotFound")
    })
  )
})
