import { create } from "@bufbuild/protobuf"
import { timestampFromMs } from "@bufbuild/protobuf/wkt"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { agent, info, live, mcp, now } from "./support.ts"

const rift = (asked: Array<unknown> = []) =>
  agent({
    listServices: () =>
      Effect.succeed(create(pb.ListServicesResponseSchema, { services: [info("web", { name: "api" })] })),
    silenceTarget: ({ component = "", forMs = 0n, service = "" }) => {
      asked.push([service, component, Number(forMs)])
      return Effect.succeed(
        create(
          pb.SilenceTargetResponseSchema,
          forMs === 0n ? {} : { until: timestampFromMs(now.getTime() + Number(forMs)) }
        )
      )
    }
  })

describe("silence", () => {
  it.effect("says until when no alerts are sent, and ends the window early", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const agents = { rift: rift(asked) }
      const ran = yield* mcp(["silence", "web/api", "--for", "1h"], { agents })
      assert.deepStrictEqual([ran.code, ran.out], [0, "no alerts of web/api until 2026-11-25T13:00:00Z\n"])
      const off = yield* mcp(["silence", "web", "--off"], { agents })
      assert.strictEqual(off.out, "alerts of web are sent again\n")
      assert.deepStrictEqual(asked, [
        ["web", "api", 3_600_000],
        ["web", "", 0]
      ])
      const json = yield* mcp(["silence", "web", "--for", "1h", "--json"], { agents })
      assert.deepStrictEqual(json.json, {
        service: "web",
        component: null,
        node: "rift",
        until: "2026-11-25T13:00:00.000Z"
      })
    })
  )

  it.effect("wants either a duration or --off, and a duration that is one", () =>
    Effect.gen(function* () {
      const agents = { rift: rift() }
      for (const wrong of [[], ["--for", "soon"], ["--for", "0s"], ["--for", "1h", "--off"]]) {
        assert.strictEqual((yield* mcp(["silence", "web", ...wrong], { agents })).code, 2)
      }
    })
  )

  it.effect("is seen in status, with the last events of what is looked at", () =>
    Effect.gen(function* () {
      const status = create(pb.ServiceStatusSchema, {
        info: info("web", { name: "api" }),
        live: [
          live({
            component: "api",
            observed: pb.ObservedState.RUNNING,
            silencedUntil: timestampFromMs(now.getTime() + 60_000)
          })
        ],
        events: [
          {
            id: 7n,
            at: timestampFromMs(now.getTime()),
            service: "web",
            component: "api",
            kind: "observed",
            from: "exited",
            to: "running"
          }
        ]
      })
      const agents = {
        rift: agent({
          getServiceStatus: () => Effect.succeed(create(pb.GetServiceStatusResponseSchema, { services: [status] }))
        })
      }
      const { out } = yield* mcp(["status"], { agents })
      assert.match(
        out,
        /\n {2}silenced until 2026-11-25T12:01:00Z\n {2}2026-11-25T12:00:00Z {2}api: exited -> running\n/
      )
    })
  )
})
