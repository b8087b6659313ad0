import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Running } from "../../src/cli/json.ts"
import { login, make } from "../support/agent.ts"
import { sleepingShop } from "../support/shop.ts"

it.scopedLive("a container that is killed is started again by the agent, and counted", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    yield* node.startAgent
    yield* login(node, "admin")
    node.define("shop", sleepingShop)
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
