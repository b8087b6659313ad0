import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Fiber, Stream } from "effect"
import { afterAll } from "vitest"
import type { FilePart, FileParts } from "../../src/domain/FileParts.ts"
import * as ConfinedFiles from "../../src/layers/ConfinedFiles.ts"
import { FileTransfer } from "../../src/services/FileTransfer.ts"
import { temporaryFolder } from "../support/folder.ts"
import { fileParts, folderPart, operations, sha256 } from "./hostile.ts"

const MIB = 1024 * 1024
const NOTHING = new Uint8Array()
const one = { tree: false, mode: undefined }

const world = (filesRoot = temporaryFolder()) => {
  const root = join(filesRoot, "shop")
  fs.mkdirSync(root, { recursive: true })
  return { filesRoot, root, files: operations(filesRoot) }
}

/** A file's parts with its data in pieces of this size. */
const pieces = (bytes: Buffer, size: number, offset = 0): ReadonlyArray<FilePart> => {
  const [entry] = fileParts(NOTHING, bytes)
  const data: Array<FilePart> = []
  for (let at = offset; at < bytes.length; at += size) data.push({ _tag: "Data", bytes: bytes.subarray(at, at + size) })
  const begun = entry?._tag === "Entry" ? { ...entry, entry: { ...entry.entry, offset } } : undefined
  return [...(begun === undefined ? [] : [begun]), ...data, { _tag: "End", sha256: sha256(bytes) }, { _tag: "Last" }]
}

const batches = (parts: ReadonlyArray<FilePart>) => Stream.fromIterable(parts.map((part): FileParts => [part]))

describe("a push", () => {
  it.effect("that ends early, whatever was the last to come, leaves the old file whole and no litter", () =>
    Effect.gen(function* () {
      const { files, root } = world()
      fs.writeFileSync(join(root, "f"), "old")
      const parts = pieces(randomBytes(100_000), 7_001)
      for (let cut = 0; cut < parts.length - 2; cut += 1) {
        // What looks like an ordinary end: a client in Node that cancels sends it so.
        const pushed = files.run((f) => f.push("shop", Buffer.from("f"), one, batches(parts.slice(0, cut))))
        assert.strictEqual((yield* Effect.flip(pushed))._tag, "TransferBroken")
        assert.strictEqual(fs.readFileSync(join(root, "f"), "utf8"), "old")
        assert.deepStrictEqual(fs.readdirSync(root), ["f"])
      }
      const interrupted = yield* Effect.fork(
        files.run((f) => f.push("shop", Buffer.from("f"), one, Stream.concat(batches(parts.slice(0, 5)), Stream.never)))
      )
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(interrupted)
      assert.deepStrictEqual(fs.readdirSync(root), ["f"])
    })
  )

  it.effect("whose bytes are not those of its digest or size is refused", () =>
    Effect.gen(function* () {
      const { files, root } = world()
      fs.writeFileSync(join(root, "f"), "old")
      const good = pieces(Buffer.from("abcdef"), 2)
      const wrong = [
        good.map((part): FilePart => (part._tag === "Data" ? { ...part, bytes: Buffer.from("xx") } : part)),
        good.filter((_, i) => i !== 2),
        [...good.slice(0, 3), { _tag: "Data", bytes: Buffer.from("more") } as const, ...good.slice(3)],
        good.filter((part) => part._tag !== "End"),
        good.filter((part) => part._tag !== "Entry")
      ]
      for (const parts of wrong) {
        const error = yield* Effect.flip(files.run((f) => f.push("shop", Buffer.from("f"), one, batches(parts))))
        assert.strictEqual(error._tag, "TransferBroken")
        assert.deepStrictEqual([fs.readFileSync(join(root, "f"), "utf8"), fs.readdirSync(root)], ["old", ["f"]])
      }
    })
  )

  it.effect("of a large file goes on where it was cut, and only when what is there is how the file begins", () =>
    Effect.gen(function* () {
      const { files, root } = world()
      const bytes = randomBytes(3 * MIB + 5)
      const at = Buffer.from("f")
      const parts = pieces(bytes, MIB)
      const [entry] = parts
      if (entry?._tag !== "Entry") throw new Error("no entry")
      const held = files.run((f) => f.held("shop", at, entry.entry))
      assert.strictEqual((yield* held).bytes, 0)
      yield* Effect.flip(files.run((f) => f.push("shop", at, one, batches(parts.slice(0, 3)))))
      const found = yield* held
      assert.strictEqual(found.bytes, 2 * MIB)
      assert.isTrue(sha256(bytes.subarray(0, 2 * MIB)).equals(Buffer.from(found.sha256)))
      // Nobody sees it, and nobody reaches it by name.
      assert.strictEqual((yield* files.run((f) => f.list("shop", NOTHING, NOTHING))).entries.length, 0)
      assert.strictEqual((yield* Effect.flip(files.list(Buffer.from(".mcp-partial"))))._tag, "PathOutsideRoot")
      // Of another source with the same size and time: the digest of the whole does not agree.
      const other = pieces(randomBytes(bytes.length), MIB, 2 * MIB)
      const broken = yield* Effect.flip(files.run((f) => f.push("shop", at, one, batches(other))))
      assert.strictEqual(broken._tag, "TransferBroken")
      assert.isFalse(fs.existsSync(join(root, "f")))
      yield* Effect.flip(files.run((f) => f.push("shop", at, one, batches(parts.slice(0, 3)))))
      yield* files.run((f) => f.push("shop", at, one, batches(pieces(bytes, MIB, 2 * MIB))))
      assert.isTrue(fs.readFileSync(join(root, "f")).equals(bytes))
      assert.deepStrictEqual(fs.readdirSync(root), ["f"])
    })
  )

  it.effect("of the same file by two at once is refused to the second", () =>
    Effect.gen(function* () {
      const { filesRoot } = world()
      const parts = pieces(randomBytes(2 * MIB), MIB)
      const at = Buffer.from("f")
      yield* Effect.gen(function* () {
        const files = yield* FileTransfer
        const begun = yield* Deferred.make<void>()
        const first = batches(parts.slice(0, 2)).pipe(
          Stream.concat(Stream.drain(Stream.fromEffect(Deferred.succeed(begun, undefined)))),
          Stream.concat(Stream.never)
        )
        const running = yield* Effect.fork(files.push("shop", at, one, first))
        yield* Deferred.await(begun)
        const second = yield* Effect.flip(files.push("shop", at, one, batches(parts)))
        assert.match(second.message, /another transfer/)
        yield* Fiber.interrupt(running)
      }).pipe(Effect.provide(ConfinedFiles.layer(filesRoot)))
    })
  )

  it.effect("clears away at the agent's start what nobody can go on with, and keeps the rest for a day", () =>
    Effect.gen(function* () {
      const { files, root } = world()
      const partial = join(root, ".mcp-partial")
      fs.mkdirSync(partial)
      for (const name of ["once-1", "recent", "old"]) fs.writeFileSync(join(partial, name), "x")
      const longAgo = Date.now() / 1000 - 25 * 3600
      fs.utimesSync(join(partial, "old"), longAgo, longAgo)
      yield* files.run((f) => f.sweep(["shop", "none"]))
      assert.deepStrictEqual(fs.readdirSync(partial), ["recent"])
      fs.unlinkSync(join(partial, "recent"))
      yield* files.run((f) => f.sweep(["shop"]))
      assert.deepStrictEqual(fs.readdirSync(root), [])
    })
  )
})

const mounted: Array<string> = []
afterAll(() => {
  for (const at of mounted) execFileSync("umount", ["--lazy", at])
})

describe.runIf(process.getuid?.() === 0)("a full disk", () => {
  it.effect(
    "at whatever byte is a clear error: the old file is whole, its space is free again, and then it works",
    () =>
      Effect.gen(function* () {
        const disk = temporaryFolder()
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk])
        mounted.push(disk)
        const { files, root } = world(disk)
        fs.writeFileSync(join(root, "f"), "old")
        const filler = join(disk, "filler")
        for (const free of [0, 4096, 300_000, MIB, MIB + 4096, 2 * MIB]) {
          fs.rmSync(filler, { force: true })
          const { bavail, bsize } = fs.statfsSync(disk)
          fs.writeFileSync(filler, Buffer.alloc(bavail * bsize - free))
          for (const parts of [pieces(randomBytes(2 * MIB + 1), MIB), pieces(randomBytes(400_000 + free), 50_000)]) {
            const error = yield* Effect.flip(files.run((f) => f.push("shop", Buffer.from("f"), one, batches(parts))))
            assert.strictEqual(error._tag, "FilesDiskFull", `${free} free: ${error.message}`)
            assert.strictEqual(fs.readFileSync(join(root, "f"), "utf8"), "old")
            assert.deepStrictEqual(fs.readdirSync(root), ["f"])
          }
          const many = Array.from({ length: 40 }, (_, i) =>
            fileParts(Buffer.from(`d/${i}`), Buffer.alloc(free / 10 + 4096))
          )
          const tree = yield* Effect.flip(files.pushTree(Buffer.from("."), folderPart(NOTHING), ...many))
          assert.strictEqual(tree._tag, "FilesDiskFull", tree.message)
          assert.notInclude(fs.readdirSync(root), ".mcp-partial")
          fs.rmSync(join(root, "d"), { recursive: true, force: true })
        }
        fs.rmSync(filler)
        const bytes = randomBytes(2 * MIB)
        yield* files.push(Buffer.from("f"), bytes)
        assert.isTrue(fs.readFileSync(join(root, "f")).equals(bytes))
      })
  )
})

describe("a pull", () => {
  const collect = (filesRoot: string, onData: (n: number) => void) =>
    Effect.flatMap(FileTransfer, (files) => {
      let seen = 0
      return files.pull("shop", Buffer.from("f"), false, undefined).pipe(
        Stream.mapConcat((parts) => parts),
        Stream.tap((part) =>
          Effect.sync(() => {
            if (part._tag !== "Data") return
            seen += 1
            onData(seen)
          })
        ),
        // A piece's buffer is used again.
        Stream.map((part) => (part._tag === "Data" ? { ...part, bytes: Buffer.from(part.bytes) } : part)),
        Stream.runCollect
      )
    }).pipe(Effect.provide(ConfinedFiles.layer(filesRoot)))

  it.effect("reads a file that changes meanwhile once more, and gives up when it changes again", () =>
    Effect.gen(function* () {
      const { filesRoot, root } = world()
      const file = join(root, "f")
      fs.writeFileSync(file, randomBytes(4 * MIB))
      const after = randomBytes(4 * MIB)
      const parts = Chunk.toReadonlyArray(
        yield* collect(filesRoot, (n) => {
          if (n === 2) fs.writeFileSync(file, after)
        })
      )
      const entries = parts.flatMap((part, i) => (part._tag === "Entry" ? [i] : []))
      assert.strictEqual(entries.length, 2)
      const data = parts.slice(entries[1]).flatMap((part) => (part._tag === "Data" ? [part.bytes] : []))
      assert.isTrue(Buffer.concat(data).equals(after))
      assert.isTrue(parts.some((part) => part._tag === "End" && sha256(after).equals(Buffer.from(part.sha256))))

      const always = yield* Effect.flip(collect(filesRoot, () => fs.appendFileSync(file, "more")))
      assert.match(always.message, /keeps changing while it is read/)
    })
  )

  it.effect("whose reader goes away leaves nothing open", () =>
    Effect.gen(function* () {
      const { filesRoot, root } = world()
      fs.mkdirSync(join(root, "a/b"), { recursive: true })
      fs.writeFileSync(join(root, "a/b/f"), randomBytes(8 * MIB))
      const openInRoot = () =>
        fs.readdirSync("/proc/self/fd").filter((fd) => {
          try {
            return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(root)
          } catch {
            return false
          }
        })
      yield* Effect.gen(function* () {
        const files = yield* FileTransfer
        const begun = yield* Deferred.make<void>()
        const pulling = yield* files.pull("shop", Buffer.from("."), true, undefined).pipe(
          Stream.tap((parts) => (parts[0]?._tag === "Data" ? Deferred.succeed(begun, undefined) : Effect.void)),
          Stream.tap((parts) => (parts[0]?._tag === "Data" ? Effect.never : Effect.void)),
          Stream.runDrain,
          Effect.fork
        )
        yield* Deferred.await(begun)
        assert.isAbove(openInRoot().length, 2)
        yield* Fiber.interrupt(pulling)
        assert.deepStrictEqual(openInRoot(), [])
      }).pipe(Effect.provide(ConfinedFiles.layer(filesRoot)))
    })
  )

  it.effect("goes on behind what is there already when that is how the file begins, else from its start", () =>
    Effect.gen(function* () {
      const { files, root } = world()
      const bytes = randomBytes(3 * MIB)
      fs.writeFileSync(join(root, "f"), bytes)
      const offsetWith = (held: Uint8Array) =>
        files.run((f) =>
          f.pull("shop", Buffer.from("f"), false, { bytes: held.length, sha256: sha256(held) }).pipe(
            Stream.mapConcat((parts) => parts.flatMap((part) => (part._tag === "Entry" ? [part.entry.offset] : []))),
            Stream.runCollect,
            Effect.map((offsets) => [...offsets])
          )
        )
      assert.deepStrictEqual(yield* offsetWith(bytes.subarray(0, MIB + 7)), [MIB + 7])
      assert.deepStrictEqual(yield* offsetWith(randomBytes(MIB)), [0])
      assert.deepStrictEqual(yield* offsetWith(randomBytes(4 * MIB)), [0])
    })
  )
})
