import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { strip, wrap } from "../../src/cli/ansi.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { agent, ago, live, mcp, notFound } from "./support.ts"

type Init = MessageInitShape<typeof pb.ExplanationSchema>

const node = (...components: ReadonlyArray<Init>) =>
  agent({ explain: () => Effect.succeed(create(pb.ExplainResponseSchema, { components: [...components] })) })

const api: Init = {
  component: "api",
  cause: "exited_1",
  summary: "it ended with exit code 1; the agent starts it again in 12s",
  nextStep: "read its last lines below; then mcp deploy shop",
  timeline: [
    { at: ago(60), kind: "deploy", text: "01ARZ3NDEKTSV4RRFFQ69G5FAV began: create, version 1", actor: "ada" },
    { at: ago(20), kind: "log", text: "panic: \u001b[2Jno database", actor: "" },
    { at: ago(19), kind: "exit", text: "exit code 1", actor: "" }
  ],
  live: live({ service: "shop", component: "api", observed: pb.ObservedState.EXITED, exitCode: 1 })
}
const web: Init = { component: "web", cause: "running", well: true, summary: "it has run for 2m19s", nextStep: "" }

describe("why", () => {
  it.effect("tells cause, sentence, next step and timeline of what is not well; of the others one line", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["why", "shop"], { agents: { rift: node(web, api) } })
      assert.strictEqual(ran.code, 0)
      assert.strictEqual(
        ran.out,
        [
          "shop/api on rift: exited_1",
          "  it ended with exit code 1; the agent starts it again in 12s",
          "  next: read its last lines below; then mcp deploy shop",
          "",
          "  11:59:00Z  deploy     01ARZ3NDEKTSV4RRFFQ69G5FAV began: create, version 1  by ada",
          "  11:59:40Z  log        panic: no database",
          "  11:59:41Z  exit       exit code 1",
          "",
          "shop/web on rift: running: it has run for 2m19s",
          ""
        ].join("\n")
      )
    })
  )

  it.effect("the only component that was asked for is told whole, well or not", () =>
    Effect.gen(function* () {
      const told = { ...web, timeline: [{ at: ago(2 * 86_400), kind: "deploy", text: "succeeded", actor: "" }] }
      const ran = yield* mcp(["why", "shop/web"], { agents: { rift: node(told) } })
      assert.include(
        ran.out,
        "shop/web on rift: running\n  it has run for 2m19s\n\n  2026-11-23T12:00:00Z  deploy     succeeded"
      )
      assert.notInclude(ran.out, "next:")
    })
  )

  it.effect("names what is behind a deployment that came to nothing", () =>
    Effect.gen(function* () {
      const back = { ...api, cause: "rolled_back", behind: "exited_1" }
      const ran = yield* mcp(["why", "shop"], { agents: { rift: node(back) } })
      assert.include(ran.out, "shop/api on rift: rolled_back (exited_1)")
    })
  )

  it.effect("as JSON has all of it, with null for what is absent", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["why", "shop", "--json"], { agents: { rift: node(api, web) } })
      const [first, second] = (ran.json as { components: ReadonlyArray<Record<string, unknown>> }).components
      assert.deepNestedInclude(first, {
        cause: "exited_1",
        behind: null,
        well: false,
        "timeline[0].actor": "ada",
        "timeline[2].at": "2026-11-25T11:59:41.000Z",
        "live.exit_code": 1
      })
      assert.deepInclude(second, { next_step: null, timeline: [], live: null })
    })
  )

  it.effect("on a narrow terminal breaks between words and keeps the columns", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["why", "shop"], { agents: { rift: node(api, web) }, tty: true, columns: 50 })
      const lines = strip(ran.out).split("\n")
      assert.deepStrictEqual(
        lines.filter((line) => line.length > 50),
        []
      )
      assert.deepStrictEqual(lines.slice(1, 7), [
        "  it ended with exit code 1; the agent starts it",
        "  again in 12s",
        "  next: read its last lines below; then mcp deploy",
        "        shop",
        "",
        "  11:59:00Z  deploy     01ARZ3NDEKTSV4RRFFQ69G5FAV"
      ])
      assert.strictEqual(lines[7], `${" ".repeat(24)}began: create, version 1`)
    })
  )

  it.effect("an unknown service, and a target that is none, are errors", () =>
    Effect.gen(function* () {
      const rift = agent({ explain: () => notFound("wbe") })
      const ran = yield* mcp(["why", "wbe"], { agents: { rift } })
      assert.deepStrictEqual([ran.code, /did you mean web\?/.test(ran.err)], [1, true])
      assert.strictEqual((yield* mcp(["why"], { agents: { rift } })).code, 2)
      assert.strictEqual((yield* mcp(["why", "a/b/c"], { agents: { rift } })).code, 2)
    })
  )

  it("no line is wider than asked, and no word is lost", () => {
    assert.deepStrictEqual(wrap("a bb ccc", 4), ["a bb", "ccc"])
    assert.deepStrictEqual(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"])
    assert.deepStrictEqual(wrap("", 3), [""])
  })
})
