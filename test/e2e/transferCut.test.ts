import { createHash } from "node:crypto"
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { login, make, type Ran } from "../support/agent.ts"
import { sleepingShop } from "../support/shop.ts"

const MIB = 1024 * 1024
const SIZE = 96

const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex")
const succeeded = (ran: Ran) => assert.strictEqual(ran.code, 0, ran.stdout + ran.stderr)

/** No two of its pieces are the same. */
const writeLarge = (file: string) => {
  const fd = openSync(file, "w")
  for (let i = 0; i < SIZE; i += 1) {
    const piece = Buffer.alloc(MIB, i)
    piece.writeUInt32LE(i * 7919)
    writeSync(fd, piece)
  }
}

const temporaries = (folder: string, starting: string) =>
  existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(starting)) : []

/** Waits until some of a transfer has arrived under a temporary name. */
const someIn = (folder: string, starting = "") =>
  Effect.sync(() => temporaries(folder, starting)[0]).pipe(
    Effect.map((name) =>
      name === undefined ? 0 : (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0)
    ),
    Effect.repeat({ until: (size) => size >= 3 * MIB }),
    Effect.timeout("60 seconds")
  )

it.scopedLive("whoever is killed half-way, the old file is whole, and --resume sends only the rest", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    const agent = yield* node.startAgent
    yield* login(node, "admin")
    node.define("shop", sleepingShop)
    succeeded(yield* node.mcp("deploy", "shop"))
    const root = join(node.dir, "srv/shop")
    const partial = join(root, ".mcp-partial")
    mkdirSync(root, { recursive: true })
    writeFileSync(join(root, "large"), "old")
    const large = join(node.dir, "large")
    writeLarge(large)
    const wanted = digest(large)

    // The operator's side goes: the agent keeps what came, unseen.
    const pushing = yield* node.startMcp("push", large, "shop")
    yield* someIn(partial)
    yield* pushing.signal("SIGKILL")
    yield* pushing.ended
    assert.strictEqual(readFileSync(join(root, "large"), "utf8"), "old")

    // The agent goes too, in the middle of going on.
    const again = yield* node.startMcp("push", "--resume", large, "shop")
    yield* someIn(partial)
    yield* agent.signal("SIGKILL")
    yield* agent.ended
    assert.strictEqual(yield* again.ended, 1)
    assert.match(again.log(), /push shop failed on here[\s\S]*next: /)
    assert.strictEqual(readFileSync(join(root, "large"), "utf8"), "old")
    // Litter of a folder's transfer, which nobody can go on with, is gone after the start.
    writeFileSync(join(partial, "once-0"), "x")
    yield* node.startAgent
    assert.deepStrictEqual(temporaries(partial, "once-"), [])
    const resumed = yield* node.mcp("push", "--resume", large, "shop", "--json")
    succeeded(resumed)
    assert.isAtLeast(JSON.parse(resumed.stdout).resumed_bytes, 3 * MIB)
    assert.strictEqual(digest(join(root, "large")), wanted)
    assert.deepStrictEqual(readdirSync(root), ["large"])

    // The same for a pull.
    const here = join(node.dir, "here")
    mkdirSync(here)
    writeFileSync(join(here, "large"), "old")
    const pulling = yield* node.startMcp("pull", "shop", "large", join(here, "large"))
    yield* someIn(here, ".mcp-partial-")
    yield* pulling.signal("SIGKILL")
    yield* pulling.ended
    assert.strictEqual(readFileSync(join(here, "large"), "utf8"), "old")
    const rest = yield* node.mcp("pull", "shop", "large", join(here, "large"), "--resume", "--json")
    succeeded(rest)
    assert.isAtLeast(JSON.parse(rest.stdout).resumed_bytes, 3 * MIB)
    assert.strictEqual(digest(join(here, "large")), wanted)
    assert.deepStrictEqual(readdirSync(here), ["large"])
  })
)
