import { cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "../support/agent.ts"
import { temporaryFolder } from "../support/folder.ts"

const dist = join(import.meta.dirname, "../../dist")

/** `mcp` as it is installed, and the program behind it, which knows nothing of texts made beforehand. */
const mcp = (dir: string, ...args: ReadonlyArray<string>) => run(join(dir, "mcp"), args)
const program = (...args: ReadonlyArray<string>) => run(process.execPath, [join(dist, "lib/mcp.js"), ...args])

describe("mcp answers at once what needs no program", () => {
  for (const line of [
    [],
    ["--version"],
    ["--help"],
    ["-h"],
    ["deploy", "--help"],
    ["node", "--help"],
    ["node", "list", "-h"],
    ["--completions", "bash"]
  ]) {
    it.live(`mcp ${line.join(" ")} is what the program itself says`, () =>
      Effect.gen(function* () {
        const [shown, own] = yield* Effect.all([mcp(dist, ...line), program(...line)], { concurrency: 2 })
        assert.isAbove(own.stdout.length, 0)
        assert.deepStrictEqual(shown, own)
      })
    )
  }

  it.live("and leaves everything else to the program: nonsense before --help is still nonsense", () =>
    Effect.gen(function* () {
      for (const line of [
        ["bogus", "--help"],
        ["deploy", "--frce", "--help"],
        ["--help", "deploy"]
      ]) {
        const [shown, own] = yield* Effect.all([mcp(dist, ...line), program(...line)], { concurrency: 2 })
        assert.deepStrictEqual(shown, own)
      }
    })
  )
})

describe("the code cache of mcp", () => {
  /** A copy of the installation, to be spoiled. */
  const installed = Effect.sync(() => {
    const dir = temporaryFolder()
    for (const part of ["mcp", "package.json", "lib"]) cpSync(join(dist, part), join(dir, part), { recursive: true })
    return { dir, cache: join(dir, "lib/mcp.cache") }
  })
  const bogus = ["bogus"]

  it.scopedLive("is made again when it is missing, of another Node, or no cache at all", () =>
    Effect.gen(function* () {
      const { cache, dir } = yield* installed
      const expected = yield* mcp(dir, ...bogus)
      const whole = statSync(cache).size
      for (const spoil of [
        () => rmSync(cache),
        () => writeFileSync(cache, "no cache"),
        () => writeFileSync(cache, readFileSync(cache).subarray(0, 1000))
      ]) {
        spoil()
        assert.deepStrictEqual(yield* mcp(dir, ...bogus), expected)
        assert.isTrue(existsSync(cache))
        assert.isAbove(statSync(cache).size, whole / 4)
      }
    })
  )

  it.scopedLive("may be unwritable: mcp works without", () =>
    Effect.gen(function* () {
      const { cache, dir } = yield* installed
      const expected = yield* mcp(dir, ...bogus)
      rmSync(cache)
      // A folder in its place can be neither read nor replaced, by root neither.
      cpSync(join(dist, "lib"), cache, { recursive: true })
      assert.deepStrictEqual(yield* mcp(dir, ...bogus), expected)
    })
  )
})
