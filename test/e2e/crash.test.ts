import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect, Either, Option } from "effect"
import { parseDefinition } from "../../src/domain/Definition.ts"
import { canonicalService } from "../../src/domain/SpecHash.ts"
import { Registry } from "../../src/services/Registry.ts"
import { type Daemon, login, make, type Node } from "../support/agent.ts"
import { violations } from "../support/invariants.ts"
import { afterWrites, overBoth, ownRuntime, sequence, stateOnDisk } from "../support/killing.ts"
import { litterIn } from "../support/ledger.ts"
import { type Kind, kinds, type Version } from "./crashKinds.ts"

/** `make fault` goes through many more. */
const rounds = Number(process.env.MCP_FAULT_ROUNDS ?? 9)
const seed = Number(process.env.MCP_FAULT_SEED ?? 4711)
/** Of the kinds whose names hold it; all when absent. */
const only = process.env.MCP_FAULT_KIND ?? ""
/** More often than any act writes; each kind's own number is learned as it goes. */
const mostWrites = 12

/** What the registry keeps of a version. Its being wanted or not is another matter. */
const textOf = (version: Version): string =>
  version === undefined
    ? "gone"
    : canonicalService(Either.getOrThrow(parseDefinition({ file: "shop.toml", text: version })).spec)

const stored = Effect.gen(function* () {
  const row = Option.getOrUndefined(yield* (yield* Registry).service("shop"))
  return row === undefined ? "gone" : canonicalService(row.spec)
})

/** Brings the service to where the act begins, by commands that nothing disturbs. */
const prepare = (node: Node, { before, data, defined }: Kind) =>
  Effect.gen(function* () {
    for (const version of before) {
      if (version !== undefined) node.define("shop", version)
      const words = version === undefined ? ["undeploy", "shop", "--yes"] : ["deploy", "shop"]
      const ran = yield* node.mcp(...words)
      // There may be nothing to undeploy.
      if (version !== undefined) assert.strictEqual(ran.code, 0, ran.stderr)
    }
    if (defined !== undefined) node.define("shop", defined)
    if (data === undefined) return
    mkdirSync(folderOf(node), { recursive: true })
    writeFileSync(fileOf(node), data.kept)
    const ran = yield* node.mcp("snapshot", "create", "shop", "--keep", "3")
    assert.strictEqual(ran.code, 0, ran.stderr)
    writeFileSync(fileOf(node), data.now)
  })

const folderOf = (node: Node) => join(node.dir, "srv/shop")
const fileOf = (node: Node) => join(folderOf(node), "data")

const kill = (agent: Daemon) => Effect.zipRight(agent.signal("SIGKILL"), agent.ended)

it.scopedLive(
  "an agent killed at any step of any kind of deployment, snapshot or restore leaves the service and its data wholly old or wholly new, and nothing else",
  () =>
    Effect.gen(function* () {
      const random = sequence(seed)
      const node = yield* make
      yield* node.startMcias
      let agent = yield* node.startAgent
      yield* login(node, "admin")
      const runtime = yield* ownRuntime(node)
      const seen = new Map<string, number>()
      const writes = new Map<string, number>()
      for (let round = 0; round < rounds; round++) {
        const all = kinds(round).filter(({ name }) => name.includes(only))
        const kind = all[round % all.length]
        if (kind === undefined) continue
        yield* prepare(node, kind)
        const act = yield* Effect.fork(node.mcp(...kind.act))
        // By what it has written, so that each step is met; an act that is over by then is killed in its aftermath.
        const most = writes.get(kind.name) ?? mostWrites
        const wanted = 1 + Math.floor(random() * most)
        const written = yield* afterWrites(node, wanted, act.await)
        if (written < wanted) writes.set(kind.name, Math.max(1, written))
        yield* Effect.sleep(Math.floor(random() * 20))
        yield* kill(agent)
        yield* act.await
        const state = stateOnDisk(node, "shop")
        seen.set(`${kind.name}: ${state}`, (seen.get(`${kind.name}: ${state}`) ?? 0) + 1)
        if (round % 3 === 2) {
          // The agent that resolves what was left is killed at it as well.
          const second = yield* node.agentWith(node.agentConfig)
          yield* afterWrites(node, 1 + Math.floor(random() * 8), Effect.sleep(2_000))
          yield* kill(second)
        }
        // It serves once what the killed one left is resolved.
        agent = yield* node.startAgent
        const at = `seed ${seed}, round ${round}, ${kind.name}, killed in state ${state}`
        const networks = (yield* node.podman.run("network", "ls", "--format", "{{.Name}}")).split("\n")
        const { now, wrong } = yield* overBoth(
          node,
          runtime,
          Effect.all({ now: stored, wrong: violations("shop", networks) })
        )
        assert.deepStrictEqual(wrong, [], at)
        assert.include(kind.may.map(textOf), now, at)
        assert.deepStrictEqual(litterIn(folderOf(node), join(node.dir, "agent/snapshots/shop")), [], at)
        if (kind.data !== undefined) assert.include(kind.data.may, readFileSync(fileOf(node), "utf8"), at)
        const listed = yield* node.podman.run("ps", "--all", "--format", "{{.Names}}")
        if (now === "gone") assert.strictEqual(listed, "", at)
        // It can be worked with: the CLI sees no drift.
        const status = yield* node.mcp("status", "--json", "--exit-code")
        assert.strictEqual(status.code, 0, `${at}: ${status.stdout}`)
      }
      if (process.env.MCP_FAULT_ROUNDS) console.log([...seen].sort().join("\n"), [...writes])
    }),
  3_600_000
)
