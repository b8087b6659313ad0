import { create } from "@bufbuild/protobuf"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { agent, ago, info, live, liveReply, mcp } from "./support.ts"

it.effect("ps and status say when the agent restarts what exited", () =>
  Effect.gen(function* () {
    const soon = { $typeName: "google.protobuf.Timestamp" as const, ...ago(-12) }
    const past = { ...soon, ...ago(1) }
    const exited = { observed: pb.ObservedState.EXITED, restarts: 3 }
    const components = [
      live({ component: "a", ...exited, restartAt: soon }),
      live({ component: "b", ...exited, exitCode: 1, restartAt: soon }),
      live({ component: "c", ...exited, restartAt: past }),
      live({ component: "d", health: "unhealthy" })
    ]
    const status = create(pb.GetServiceStatusResponseSchema, {
      services: [{ info: info("web", ...components.map((c) => ({ name: c.component }))), live: components }]
    })
    const agents = {
      rift: agent({ liveCheck: liveReply(...components), getServiceStatus: () => Effect.succeed(status) })
    }
    const states = (out: string) => out.split("\n").flatMap((line) => line.match(/exited.*?(?= {2})/)?.[0] ?? [])
    const said = ["exited, restarts in 12s", "exited (1), restarts in 12s", "exited"]
    assert.deepStrictEqual(states((yield* mcp(["ps"], { agents })).out), said)
    const seen = yield* mcp(["status"], { agents })
    assert.deepStrictEqual(states(seen.out), said)
    assert.match(seen.out, /^ {2}d +running +running +v1 +unhealthy/m)
    const json = yield* mcp(["ps", "--json"], { agents })
    assert.deepNestedInclude(json.json, {
      "components[0].restart_at": "2026-11-25T12:00:12.000Z",
      "components[0].restarts": 3,
      "components[3].restart_at": null
    })
  })
)
