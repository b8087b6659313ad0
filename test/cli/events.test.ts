import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream, TestClock } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { agent, ago, dead, mcp } from "./support.ts"

type Init = MessageInitShape<typeof pb.EventSchema>

const node = (...events: ReadonlyArray<Init>) =>
  agent({
    listEvents: ({ after = 0n }) =>
      Effect.succeed(create(pb.ListEventsResponseSchema, { events: events.filter(({ id = 0n }) => id > after) }))
  })

const deployed = {
  id: 1n,
  at: ago(60),
  service: "shop",
  kind: "deploy",
  from: "starting",
  to: "succeeded",
  actor: "ada"
}
const exited = {
  id: 2n,
  at: ago(30),
  service: "shop",
  component: "web",
  kind: "observed",
  from: "running",
  to: "exited"
}
const restarted = {
  ...{ id: 1n, at: ago(40), service: "mail", component: "imap", kind: "restarted", from: "exited", to: "running" },
  message: "exit code 3"
}

describe("events", () => {
  it.effect("of all nodes are one story, oldest first", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["events"], { agents: { rift: node(deployed, exited), orion: node(restarted) } })
      assert.strictEqual(
        ran.out,
        [
          "2026-11-25T11:59:00Z  shop on rift: deploy succeeded  by ada",
          "2026-11-25T11:59:20Z  mail/imap on orion: exited -> running (started again): exit code 3",
          "2026-11-25T11:59:30Z  shop/web on rift: running -> exited",
          ""
        ].join("\n")
      )
      const json = yield* mcp(["events", "--json"], { agents: { rift: node(deployed) } })
      assert.deepNestedInclude(json.json, { "events[0].actor": "ada", "events[0].component": null })
    })
  )

  it.effect("a node that does not answer hides none of the others'", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["events"], { agents: { rift: node(deployed), orion: dead("orion") } })
      assert.deepStrictEqual(
        [ran.code, /shop on rift/.test(ran.out), /orion did not answer/.test(ran.err)],
        [4, true, true]
      )
    })
  )

  it.effect("of what has none says so, and a wrong --limit or --since is told", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["events", "shop"], { agents: { rift: node() } })
      assert.deepStrictEqual([ran.code, ran.out, ran.err], [0, "", "no events are recorded\n"])
      for (const wrong of [
        ["--limit", "0"],
        ["--since", "soon"]
      ]) {
        assert.strictEqual((yield* mcp(["events", ...wrong], { agents: { rift: node() } })).code, 2)
      }
    })
  )

  it.effect("--follow goes on as they come, also over a connection that is lost, and says each once", () =>
    Effect.gen(function* () {
      const asked: Array<bigint> = []
      const lost = new RpcError({ code: Code.UNAVAILABLE, reason: "NODE_UNREACHABLE", detail: "gone" })
      const told = (...events: Array<Init>) => create(pb.WatchEventsResponseSchema, { events })
      const rift = agent({
        listEvents: () => Effect.succeed(create(pb.ListEventsResponseSchema, { events: [deployed] })),
        watchEvents: ({ after = 0n }) => {
          asked.push(after)
          switch (asked.length) {
            case 1:
              return Stream.concat(Stream.make(told(), told(exited)), Stream.fail(lost))
            case 2:
              return Stream.fail(lost)
            case 3:
              return Stream.make(told({ ...exited, id: 3n, from: "exited", to: "running" }))
            default:
              return Stream.fromEffect(Effect.interrupt)
          }
        }
      })
      const fiber = yield* Effect.fork(mcp(["events", "--follow", "--json"], { agents: { rift } }))
      while (asked.length < 4) yield* TestClock.adjust("1 second")
      const { err, out } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        out
          .trim()
          .split("\n")
          .map((text) => JSON.parse(text).id),
        [1, 2, 3]
      )
      assert.deepStrictEqual(asked, [1n, 2n, 2n, 3n])
      assert.match(err, /rift did not answer: gone\n(.*\n)*rift answers again/)
      assert.lengthOf(err.match(/did not answer/g) ?? [], 1)
    })
  )
})
