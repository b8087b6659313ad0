import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Running } from "../../src/cli/json.ts"
import { login, make, type Node } from "../support/agent.ts"
import { image } from "../support/podman.ts"

/** Two versions of three components: one handed over beside the old one, one that must stop first, one that stays. */
const version = (n: number) => `name = "shop"
[[components]]
name = "web"
image = "${image}"
cmd = ["sleep", "${1000 + n}"]
settle = "50ms"
stop_timeout = "0s"
update_order = "start-first"
[[components]]
name = "db"
image = "${image}"
cmd = ["sleep", "${1000 + n}"]
settle = "50ms"
stop_timeout = "0s"
[[components]]
name = "cache"
image = "${image}"
cmd = ["sleep", "1"]
restart = "no"
`

/** Numbers that look random, and are the same in each run. */
const sequence = (seed: number) => {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

const rounds = Number(process.env.MCP_FAULT_ROUNDS ?? 5)
const seed = Number(process.env.MCP_FAULT_SEED ?? 4711)

/** Name, argument of the command, and state of every container. */
const containers = (node: Node) =>
  Effect.map(node.podman.run("ps", "--all", "--format", "{{.Names}} {{.Command}} {{.State}}"), (text) =>
    text.trim().split("\n").filter(Boolean).sort()
  )

it.scopedLive(
  "an agent killed at any moment of a deploy leaves the service wholly old or wholly new, and nothing else",
  () =>
    Effect.gen(function* () {
      const random = sequence(seed)
      const node = yield* make
      yield* node.startMcias
      let agent = yield* node.startAgent
      yield* login(node, "admin")
      node.define("shop", version(0))
      assert.strictEqual((yield* node.mcp("deploy", "shop")).code, 0)
      let current = 0
      for (let round = 1; round <= rounds; round++) {
        node.define("shop", version(round))
        const deploy = yield* Effect.fork(node.mcp("deploy", "shop"))
        yield* Effect.sleep(Math.round(250 + random() * 1_500))
        yield* agent.signal("SIGKILL")
        yield* agent.ended
        yield* deploy
        agent = yield* node.startAgent
        const at = `seed ${seed}, round ${round}`
        // `startAgent` waits until it serves: what the killed one left is resolved then.
        const now = yield* containers(node)
        const named = now.map((line) => line.split(" ")[0])
        assert.deepStrictEqual(named, ["shop-cache", "shop-db", "shop-web"], at)
        const versions = new Set(now.flatMap((line) => /sleep (1\d{3})/.exec(line)?.[1] ?? []))
        assert.strictEqual(versions.size, 1, `${at}: ${now.join("; ")}`)
        const [found] = [...versions].map((text) => Number(text) - 1000)
        assert.include([current, round], found, at)
        current = found ?? current
        const status = yield* node.mcp("status", "shop", "--json")
        assert.strictEqual(status.code, 0, at)
      }
      node.define("shop", version(99))
      assert.strictEqual((yield* node.mcp("deploy", "shop")).code, 0)
      assert.strictEqual((yield* node.mcp("undeploy", "shop", "--yes")).code, 0)
      assert.deepStrictEqual(yield* containers(node), [])
    }),
  600_000
)

it.scopedLive("a container that is killed is started again by the agent, and counted", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    yield* node.startAgent
    yield* login(node, "admin")
    node.define("shop", version(0))
    assert.strictEqual((yield* node.mcp("deploy", "shop")).code, 0)
    yield* node.podman.run("kill", "shop-web")
    const webOf = (json: string) =>
      (JSON.parse(json).components as ReadonlyArray<Running>).find(({ component }) => component === "web")
    const seen = yield* node.mcp("ps", "--json").pipe(
      Effect.map((ran) => webOf(ran.stdout)),
      Effect.repeat({ until: (web) => web?.restarts === 1 && web.state === "running" }),
      Effect.timeout("20 seconds")
    )
    assert.strictEqual(seen?.exit_code, null)
  })
)
