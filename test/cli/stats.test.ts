import { create } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Option, Stream, TestClock } from "effect"
import { bytes } from "../../src/cli/bytes.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { agent, dead, mcp, notFound } from "./support.ts"

const MIB = 2n ** 20n

const used = (service: string, component: string, cpuPercent = 12.34) => ({
  ...{ service, component, containerId: "c1", cpuPercent, memoryBytes: 12n * MIB, memoryLimitBytes: 64n * MIB },
  ...{ networkInBytes: 1536n, networkOutBytes: 0n, blockInBytes: 3n * 1024n * MIB, blockOutBytes: 5n, pids: 3 },
  ...{ observed: pb.ObservedState.RUNNING, desired: pb.DesiredState.RUNNING }
})
const idle = { service: "web", component: "old", observed: pb.ObservedState.STOPPED, desired: pb.DesiredState.STOPPED }

type Used = Partial<ReturnType<typeof used>>
const response = (...components: ReadonlyArray<Used>) => create(pb.StatsResponseSchema, { components: [...components] })
const one = (...components: ReadonlyArray<Used>) => agent({ stats: () => Stream.make(response(...components)) })

describe("stats", () => {
  it.effect("is sorted by service, component and node, in units for people; what does not run says so", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["stats"], {
        agents: { vega: one(used("web", "api")), rift: one(idle, used("db", "db")) }
      })
      assert.strictEqual(ran.code, 0)
      const [heading, ...rows] = ran.out.trimEnd().split("\n")
      assert.match(heading ?? "", /^SERVICE +COMPONENT +NODE +CPU +MEMORY +MEM% +LIMIT +NET-IN +NET-OUT +BLOCK-IN/)
      const cells = rows.map((row) => row.split(/ {2,}/))
      assert.deepStrictEqual(cells[0], "db|db|rift|12.3%|12.0 MiB|18.8%|64.0 MiB|1.5 KiB|0 B|3.0 GiB|5 B|3".split("|"))
      assert.deepStrictEqual(cells[1]?.slice(0, 4), ["web", "api", "vega", "12.3%"])
      assert.deepStrictEqual(cells[2]?.slice(0, 5), ["web", "old", "rift", "stopped", "-"])
    })
  )

  it.effect("a node that does not answer is one row and exit code 4, and hides none of the others", () =>
    Effect.gen(function* () {
      const agents = { rift: one(used("db", "db")), vega: dead("vega") }
      const ran = yield* mcp(["stats"], { agents })
      assert.strictEqual(ran.code, 4)
      assert.match(ran.out, /^db +db +rift +12.3%/m)
      assert.match(ran.out, /^- +- +vega +unreachable/m)
      assert.match(ran.err, /vega did not answer: cannot reach/)
      const { json } = yield* mcp(["stats", "--json"], { agents })
      assert.deepNestedInclude(json, { "components[0].cpu_percent": 12.34, "unreachable_nodes[0].node": "vega" })
    })
  )

  it.effect("of targets asks for these alone; one that matches nothing is an error", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const rift = agent({
        stats: (request) => {
          asked.push([request.service, request.component, request.follow])
          return request.service === "nope" ? Stream.fail(notFound("nope")) : Stream.make(response(used("web", "api")))
        }
      })
      const ran = yield* mcp(["stats", "web/api", "db"], { agents: { rift } })
      assert.strictEqual(ran.code, 0)
      assert.sameDeepMembers(asked, [
        ["web", "api", false],
        ["db", "", false]
      ])
      const wrong = yield* mcp(["stats", "nope"], { agents: { rift } })
      assert.strictEqual(wrong.code, 1)
      assert.match(wrong.err, /^mcp: stats nope failed on rift: no service named nope on this node/)
    })
  )

  it.effect("--watch goes on with what the agents send, and asks again when a call ends", () =>
    Effect.gen(function* () {
      let calls = 0
      const refused = new RpcError({ code: Code.UNAUTHENTICATED, reason: "TOKEN_INVALID", detail: "expired" })
      const later = (cpu: number) =>
        Stream.fromEffect(Effect.delay(Effect.succeed(response(used("web", "api", cpu))), "2 seconds"))
      const first = [Stream.make(response(used("web", "api", 1))), later(2), later(3), Stream.drain(later(0))]
      const rift = agent({
        stats: ({ follow }) => {
          assert.isTrue(follow)
          calls += 1
          return calls === 1 ? Stream.concatAll(Chunk.fromIterable(first)) : Stream.fail(refused)
        }
      })
      const fiber = yield* Effect.fork(mcp(["stats", "-w", "--json"], { agents: { rift } }))
      while (Option.isNone(yield* Fiber.poll(fiber))) yield* TestClock.adjust("1 second")
      const ran = yield* Fiber.join(fiber)
      const seen = ran.out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).components[0].cpu_percent)
      assert.deepStrictEqual(seen, [1, 2, 3])
      assert.strictEqual(ran.code, 5)
      assert.isAtLeast(calls, 2)
    })
  )

  it("amounts have a unit that suits them", () => {
    const shown = [0, 1023, 1024, 1536, 12.3 * 2 ** 20, 1023.7 * 1024, 384 * 2 ** 20, 23.54 * 2 ** 30].map(bytes)
    assert.deepStrictEqual(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "12.3 MiB", "1.0 MiB", "384 MiB", "23.5 GiB"])
  })
})
