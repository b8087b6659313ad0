import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { afterAll } from "vitest"
import { shown } from "../../src/domain/FilePath.ts"
import * as HostLocalTree from "../../src/layers/HostLocalTree.ts"
import { LocalTree } from "../../src/services/LocalTree.ts"
import { temporaryFolder } from "../support/folder.ts"
import { fileParts, linkPart, operations } from "./hostile.ts"

const world = () => {
  const filesRoot = temporaryFolder()
  const root = join(filesRoot, "shop")
  fs.mkdirSync(root)
  return { root, files: operations(filesRoot) }
}

const local = <A, E>(use: (tree: LocalTree["Type"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(LocalTree, use).pipe(Effect.provide(HostLocalTree.layer))

const mounted: Array<string> = []
afterAll(() => {
  for (const at of mounted) execFileSync("umount", ["--lazy", at])
})

describe("a folder", () => {
  it.effect("with a name that no path may hold goes without it, and it is named", () =>
    Effect.gen(function* () {
      const { files, root } = world()
      const source = temporaryFolder()
      for (const name of ["a", "b\\c", "z"]) fs.writeFileSync(join(source, name), name)
      const tree = { tree: true, mode: undefined }
      const pushed = yield* local((here) =>
        files.run((f) => f.push("shop", Buffer.from("in"), tree, here.read(source, true, undefined)))
      )
      assert.deepStrictEqual(fs.readdirSync(join(root, "in")), ["a", "z"])
      assert.deepStrictEqual(
        pushed.skipped.map(({ path, why }) => `${shown(path)} ${why}`),
        ["b\\c holds a backslash: parts of a path are parted by /"]
      )
      // The same the other way.
      fs.writeFileSync(join(root, "in/b\\c"), "x")
      const back = join(temporaryFolder(), "back")
      const pulled = yield* local((here) =>
        files.run((f) => here.write(back, tree, f.pull("shop", Buffer.from("in"), true, undefined)))
      )
      assert.deepStrictEqual([fs.readdirSync(back), pulled.skipped.length], [["a", "z"], 1])
    })
  )

  it.effect("brings a link in the place of a file, and a file in the place of a link, each whole", () =>
    Effect.gen(function* () {
      const { files, root } = world()
      fs.writeFileSync(join(root, "f"), "file")
      fs.symlinkSync("f", join(root, "l"))
      const at = Buffer.from
      yield* files.pushTree(at("."), linkPart(at("f"), at("l")), fileParts(at("l"), at("new")))
      assert.strictEqual(fs.readlinkSync(join(root, "f")), "l")
      assert.strictEqual(fs.readFileSync(join(root, "f"), "utf8"), "new")
      assert.isTrue(fs.lstatSync(join(root, "l")).isFile())
      assert.deepStrictEqual(fs.readdirSync(root), ["f", "l"])
      // A folder gives way to neither.
      fs.mkdirSync(join(root, "d"))
      for (const part of [linkPart(at("d"), at("l")), fileParts(at("d"), at("x"))]) {
        const refused = yield* Effect.flip(files.pushTree(at("."), part))
        assert.match(
          `${refused.message}; ${"nextStep" in refused ? refused.nextStep : ""}`,
          /^d is a folder; remove it/
        )
      }
    })
  )

  it.effect.runIf(process.getuid?.() === 0)(
    "with something mounted in it still tells which files have all their names there",
    () =>
      Effect.gen(function* () {
        const { files, root } = world()
        fs.mkdirSync(join(root, "mounted"))
        execFileSync("mount", ["-t", "tmpfs", "tmpfs", join(root, "mounted")])
        mounted.push(join(root, "mounted"))
        fs.writeFileSync(join(root, "one"), "both")
        fs.linkSync(join(root, "one"), join(root, "two"))
        assert.strictEqual(yield* files.pull(Buffer.from("two")), "both")
      })
  )
})

it.effect("a file pushed onto the service's own folder is told to name a file in it", () =>
  Effect.gen(function* () {
    const { files } = world()
    const refused = yield* Effect.flip(files.push(Buffer.from("./")))
    assert.match(refused.message, /^\. is the service's own folder/)
    assert.strictEqual("nextStep" in refused ? refused.nextStep : "", "name the file in it")
  })
)

it.effect("what cannot be written here is told of by the name that was asked for", () =>
  Effect.gen(function* () {
    const bytes = Buffer.from("x")
    const parts = Stream.make(fileParts(new Uint8Array(), bytes), [{ _tag: "Last" } as const])
    const failed = yield* Effect.flip(
      local((here) => here.write("/sys/mcp-test", { tree: false, mode: undefined }, parts))
    )
    assert.match(failed.message, /\/sys\/mcp-test\b(?!.*partial)/)
  })
)

it.live("others are served while the files of a large folder are counted", () =>
  Effect.gen(function* () {
    const { files, root } = world()
    for (let i = 0; i < 3_000; i += 1) fs.writeFileSync(join(root, String(i)), "")
    let turns = 0
    const timer = setInterval(() => {
      turns += 1
    })
    const head = files.run((f) => Stream.runHead(f.pull("shop", Buffer.from("."), true, undefined)))
    yield* head.pipe(Effect.ensuring(Effect.sync(() => clearInterval(timer))))
    assert.isAbove(turns, 3)
  })
)

it.effect("a service's folder that is a link is refused, and what to do is said", () =>
  Effect.gen(function* () {
    const { files, root } = world()
    fs.rmdirSync(root)
    fs.symlinkSync("/etc", root)
    const refused = yield* Effect.flip(files.pull(Buffer.from("hostname")))
    assert.match("nextStep" in refused ? refused.nextStep : "", /make it a folder on the node/)
  })
)
