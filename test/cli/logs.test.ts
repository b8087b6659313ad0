import { create } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { BrokenPipe } from "../../src/cli/Screen.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { agent, ago, dead, info, mcp, notFound } from "./support.ts"

type Request = Partial<pb.LogsRequest>

const line = (component: string, text: string, seconds = 1) =>
  create(pb.LogsResponseSchema, { component, line: text, stream: "stdout", at: ago(seconds) })

const logging = (requests: Array<Request>, ...components: ReadonlyArray<string>) =>
  agent({
    getServiceStatus: ({ service }) =>
      Effect.succeed(
        create(pb.GetServiceStatusResponseSchema, {
          services: [{ info: info(service ?? "", ...components.map((name) => ({ name }))) }]
        })
      ),
    logs: (request) => {
      requests.push(request as Request)
      const of = request.component ? [request.component] : components
      return Stream.fromIterable(of.map((c) => line(c, `${request.service} ${c} says hello`)))
    }
  })

describe("logs", () => {
  it.effect("of one component come as they are", () =>
    Effect.gen(function* () {
      const requests: Array<Request> = []
      const ran = yield* mcp(["logs", "web/api", "--tail", "5", "--since", "10m", "-f"], {
        agents: { rift: logging(requests) }
      })
      assert.deepStrictEqual([ran.code, ran.out, ran.err], [0, "web api says hello\n", ""])
      assert.deepInclude(requests[0], { service: "web", component: "api", follow: true, tail: 5 })
      assert.strictEqual(requests[0]?.since?.seconds, ago(600).seconds)
    })
  )

  it.effect("of more are prefixed in columns", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["logs", "web"], { agents: { rift: logging([], "api", "worker") } })
      assert.strictEqual(ran.out, "api    | web api says hello\nworker | web worker says hello\n")
      const lone = yield* mcp(["logs", "web"], { agents: { rift: logging([], "web") } })
      assert.strictEqual(lone.out, "web web says hello\n")
      const colour = yield* mcp(["logs", "web"], { agents: { rift: logging([], "api", "worker") }, tty: true })
      assert.include(colour.out, "\u001b[36mapi    |\u001b[0m web api")
    })
  )

  it.effect("of many targets are merged, with the service in the prefix", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["logs", "web", "db/db", "-t"], { agents: { rift: logging([], "api") } })
      assert.deepStrictEqual(ran.out.trimEnd().split("\n").sort(), [
        "db/db   | 2026-11-25T11:59:59.000Z db db says hello",
        "web/api | 2026-11-25T11:59:59.000Z web api says hello"
      ])
    })
  )

  it.effect("--json is one object a line", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["logs", "web", "--json"], { agents: { rift: logging([], "api", "worker") } })
      const rows = ran.out
        .trimEnd()
        .split("\n")
        .map((text) => JSON.parse(text))
      assert.deepStrictEqual(rows[0], {
        service: "web",
        component: "api",
        node: "rift",
        at: "2026-11-25T11:59:59.000Z",
        stream: "stdout",
        line: "web api says hello"
      })
      assert.lengthOf(rows, 2)
    })
  )

  it.effect("of an unknown service, or a dead node, fail with 1", () =>
    Effect.gen(function* () {
      const rift = agent({
        getServiceStatus: () => Effect.fail(notFound("wbe")),
        logs: () => Stream.fail(notFound("wbe"))
      })
      for (const target of ["wbe", "wbe/api"]) {
        const ran = yield* mcp(["logs", target], { agents: { rift } })
        assert.strictEqual(ran.code, 1)
        assert.match(ran.err, /^mcp: logs wbe failed on rift: no service named wbe on this node; did you mean web\?\n/)
      }
      const ran = yield* mcp(["logs", "web/api"], { agents: { rift: dead("rift") } })
      assert.match(ran.err, /^mcp: logs web failed on rift: cannot reach/)
    })
  )

  it.effect("end quietly when nobody reads any more", () =>
    Effect.gen(function* () {
      const rift = agent({ logs: () => Stream.die(new BrokenPipe()) })
      const ran = yield* mcp(["logs", "web/api"], { agents: { rift } })
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
    })
  )
})
