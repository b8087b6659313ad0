import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { login, make, type Node, type Ran } from "../support/agent.ts"
import { sequence } from "../support/killing.ts"
import { sleepingShop } from "../support/shop.ts"

/** `make fault` goes through many more. */
const rounds = Number(process.env.MCP_FAULT_ROUNDS ?? 2)
const seed = Number(process.env.MCP_FAULT_SEED ?? 4711)

const MIB = 1024 * 1024
const LARGE = 48 * MIB
const FILES = 400

const succeeded = (ran: Ran) => assert.strictEqual(ran.code, 0, ran.stdout + ran.stderr)

/** Every piece of it tells its version. */
const largeOf = (version: number) => {
  const bytes = Buffer.alloc(LARGE, `version ${version} `)
  for (let at = 0; at < LARGE; at += MIB) bytes.writeUInt32LE(at, at)
  return bytes
}
const smallOf = (version: number, n: number) => `file ${n} of version ${version}\n`.repeat(100)
const nameOf = (n: number) => `folder-${n % 10}/file-${n}`

interface Kind {
  readonly name: string
  readonly words: ReadonlyArray<string>
  readonly write: (version: number) => void
  /** Whether all that there is is wholly of one of these versions. */
  readonly isWhole: (...versions: ReadonlyArray<number>) => boolean
  /** Temporary files that may be there after the next start: those to go on with. */
  readonly mayKeep: number
  readonly again: ReadonlyArray<string>
}

const kindsOn = (node: Node): ReadonlyArray<Kind> => {
  const [large, tree, root] = [join(node.dir, "large"), join(node.dir, "tree"), join(node.dir, "srv/shop")]
  for (let n = 0; n < 10; n += 1) mkdirSync(join(tree, `folder-${n}`), { recursive: true })
  return [
    {
      ...{ name: "a file", words: ["push", large, "shop"], again: ["push", "--resume", large, "shop"], mayKeep: 1 },
      write: (version) => writeFileSync(large, largeOf(version)),
      isWhole: (...versions) => {
        const found = readFileSync(join(root, "large"))
        return versions.some((version) => found.equals(largeOf(version)))
      }
    },
    {
      ...{ name: "a folder", words: ["push", "-r", tree, "shop"], again: ["push", "-r", tree, "shop"], mayKeep: 0 },
      write: (version) => {
        for (let n = 0; n < FILES; n += 1) writeFileSync(join(tree, nameOf(n)), smallOf(version, n))
      },
      isWhole: (...versions) => {
        const names = readdirSync(join(root, "tree")).flatMap((folder) => readdirSync(join(root, "tree", folder)))
        return (
          names.length === FILES &&
          names.every((_, n) => {
            const found = readFileSync(join(root, "tree", nameOf(n)), "utf8")
            return versions.some((version) => found === smallOf(version, n))
          })
        )
      }
    }
  ]
}

/** Until something has come under a temporary name, or the push is over. */
const begun = (root: string, over: Effect.Effect<unknown>) =>
  Effect.race(
    Effect.async<void>((resume) => {
      const watcher = watch(root, (_event, name) => name === ".mcp-partial" && resume(Effect.void))
      return Effect.sync(() => watcher.close())
    }),
    over
  )

it.scopedLive(
  "an agent killed at any moment of a push leaves each file wholly old or wholly new, no litter, and what --resume goes on with",
  () =>
    Effect.gen(function* () {
      const random = sequence(seed)
      const node = yield* make
      yield* node.startMcias
      let agent = yield* node.startAgent
      yield* login(node, "admin")
      node.define("shop", sleepingShop)
      succeeded(yield* node.mcp("deploy", "shop"))
      const root = join(node.dir, "srv/shop")
      const partial = join(root, ".mcp-partial")
      const kinds = kindsOn(node)
      const lasts = new Map<string, number>()
      for (const { isWhole, name, words, write } of kinds) {
        write(0)
        const before = performance.now()
        succeeded(yield* node.mcp(...words))
        // Of this the program's own start is a good part: kills come in the rest, and in the time right after it.
        lasts.set(name, (performance.now() - before) / 2)
        assert.isTrue(isWhole(0), name)
      }
      const seen: Array<string> = []
      for (let round = 1; round <= rounds; round += 1) {
        const kind = kinds[round % kinds.length] as Kind
        kind.write(round)
        const before = Math.max(0, round - kinds.length)
        const push = yield* Effect.fork(node.mcp(...kind.words))
        yield* begun(root, push.await)
        const wait = random() * (lasts.get(kind.name) ?? 0)
        yield* Effect.sleep(wait)
        yield* agent.signal("SIGKILL")
        yield* agent.ended
        const { code } = yield* push
        const at = `seed ${seed}, round ${round}, ${kind.name}, killed after ${wait} ms`
        assert.isTrue(kind.isWhole(before, round), at)
        // What is told to be done is done.
        if (code === 0) assert.isTrue(kind.isWhole(round), at)
        agent = yield* node.startAgent
        const kept = existsSync(partial) ? readdirSync(partial) : []
        assert.isAtMost(kept.length, kind.mayKeep, `${at}: ${kept}`)
        const bytes = kept.reduce((sum, name) => sum + statSync(join(partial, name)).size, 0)
        seen.push(`${kind.name}: exit ${code}, ${bytes} bytes kept`)
        const again = yield* node.mcp(...kind.again, "--json")
        succeeded(again)
        assert.strictEqual(JSON.parse(again.stdout).resumed_bytes, bytes, at)
        assert.isTrue(kind.isWhole(round), at)
        assert.deepStrictEqual(readdirSync(root).sort(), ["large", "tree"], at)
      }
      if (process.env.MCP_FAULT_ROUNDS) console.log(seen.join("\n"))
    }),
  3_600_000
)
