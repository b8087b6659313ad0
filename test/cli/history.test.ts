import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { agent, ago, mcp, notFound } from "./support.ts"

const image = (tag: string) => `registry.example/shop:${tag}`
const at = (seconds: number) => ({ $typeName: "google.protobuf.Timestamp" as const, ...ago(seconds) })

type Info = MessageInitShape<typeof pb.DeploymentInfoSchema>
type Request = MessageInitShape<typeof pb.ListDeploymentsRequestSchema>

const deployments: ReadonlyArray<Info> = [
  { id: "01JF", state: "rolling_back", actor: "eve", startedAt: at(5), kind: "deploy", lastError: "podman is away" },
  {
    id: "01JE",
    state: "succeeded",
    actor: "admin",
    startedAt: at(60),
    finishedAt: at(50),
    kind: "rollback",
    rollbackTo: "01JC",
    current: true,
    imagesKept: true,
    changes: [
      { component: "web", action: pb.Action.REPLACE, fromImage: image("v2"), toImage: image("v1") },
      { component: "db", action: pb.Action.UNCHANGED, fromImage: "db:1", toImage: "db:1" }
    ]
  },
  {
    id: "01JD",
    state: "rolled_back",
    actor: "admin",
    startedAt: at(3600),
    kind: "deploy",
    error: "web exited with 1",
    reason: "EXITED_1",
    component: "web",
    lastLogs: ["panic"],
    changes: [{ component: "web", action: pb.Action.REPLACE, fromImage: image("v2"), toImage: image("v2") }]
  },
  {
    id: "01JC",
    state: "succeeded",
    actor: "admin",
    startedAt: at(7200),
    kind: "deploy",
    pinned: true,
    changes: [
      { component: "web", action: pb.Action.CREATE, toImage: image("v1") },
      { component: "db", action: pb.Action.START, fromImage: "db:1", toImage: "db:1" },
      { component: "old", action: pb.Action.ORPHAN },
      { component: "job", action: pb.Action.STOP }
    ]
  },
  { id: "01JB", state: "succeeded", actor: "admin", kind: "restart" }
]

const telling = (reply: MessageInitShape<typeof pb.ListDeploymentsResponseSchema>, requests: Array<Request> = []) =>
  agent({
    listDeployments: (request) => {
      requests.push(request)
      return Effect.succeed(create(pb.ListDeploymentsResponseSchema, reply))
    }
  })

describe("history", () => {
  it.effect("is a table, the newest first, with what changed only", () =>
    Effect.gen(function* () {
      const requests: Array<Request> = []
      const ran = yield* mcp(["history", "shop"], {
        agents: { rift: telling({ deployments: [...deployments] }, requests) }
      })
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      assert.deepStrictEqual(ran.out.split("\n"), [
        "DEPLOYMENT  WHEN                  WHO    KIND      OUTCOME                                   CHANGES",
        "01JF        2026-11-25T11:59:55Z  eve    deploy    under way (rolling back): podman is away  nothing",
        "01JE        2026-11-25T11:59:00Z  admin  rollback  succeeded, current                        back to 01JC, web v2 → v1",
        "01JD        2026-11-25T11:00:00Z  admin  deploy    rolled back: EXITED_1                     web replaced",
        "01JC        2026-11-25T10:00:00Z  admin  deploy    succeeded, pinned                         web v1 created, db started, job stopped",
        "01JB        -                     admin  restart   succeeded                                 nothing",
        ""
      ])
      assert.deepStrictEqual(requests, [{ service: "shop", limit: 0, diffFrom: "", diffTo: "" }])
    })
  )

  it.effect("prints JSON with all that is known", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["history", "shop", "--json", "--limit", "3"], {
        agents: { rift: telling({ deployments: [...deployments] }) }
      })
      assert.deepNestedInclude(ran.json, {
        service: "shop",
        node: "rift",
        "deployments[0].last_error": "podman is away",
        "deployments[0].finished_at": null,
        "deployments[1]": {
          deployment: "01JE",
          state: "succeeded",
          actor: "admin",
          started_at: "2026-11-25T11:59:00.000Z",
          finished_at: "2026-11-25T11:59:10.000Z",
          error: null,
          kind: "rollback",
          rollback_to: "01JC",
          reason: null,
          component: null,
          last_error: null,
          last_logs: [],
          current: true,
          pinned: false,
          images_kept: true,
          changes: [
            { component: "web", action: "replace", from_image: image("v2"), to_image: image("v1") },
            { component: "db", action: "unchanged", from_image: "db:1", to_image: "db:1" }
          ]
        },
        "deployments[2].last_logs": ["panic"],
        "deployments[2].reason": "EXITED_1"
      })
    })
  )

  it.effect("says so when there is none, and fails for what there is not", () =>
    Effect.gen(function* () {
      const none = yield* mcp(["history", "shop"], { agents: { rift: telling({}) } })
      assert.deepStrictEqual([none.code, none.out, none.err], [0, "", "shop on rift has no deployments\n"])
      const rift = agent({ listDeployments: () => Effect.fail(notFound("shop")) })
      const ran = yield* mcp(["history", "shop"], { agents: { rift } })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /^mcp: history shop failed on rift: no service named shop/)
    })
  )

  it.effect("text of others cannot drive the terminal", () =>
    Effect.gen(function* () {
      const bad: Info = { id: "01J", state: "rolled_back", actor: "e\u001b[2Jve", error: "x\u001b[2Jy\nz" }
      const ran = yield* mcp(["history", "shop"], { agents: { rift: telling({ deployments: [bad] }) } })
      assert.notInclude(ran.out, "\u001b")
      assert.strictEqual(ran.out.split("\n").length, 3)
    })
  )
})

describe("history --diff", () => {
  const diff = [
    {
      component: "web",
      action: pb.Action.REPLACE,
      fromImage: image("v1"),
      toImage: image("v2"),
      changes: [{ field: "memory", from: "", to: "512m" }]
    },
    { component: "db", action: pb.Action.UNCHANGED, fromImage: "db:1", toImage: "db:1" }
  ]

  it.effect("shows what differs as plan does", () =>
    Effect.gen(function* () {
      const requests: Array<Request> = []
      const world = { agents: { rift: telling({ diff, deployments: [...deployments] }, requests) } }
      const ran = yield* mcp(["history", "shop", "--diff", "01JC", "01JE"], world)
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      assert.deepStrictEqual(ran.out.split("\n"), [
        "shop on rift, 01JC → 01JE:",
        "  ~ web  replace    v1 → v2",
        "      memory: (none) → 512m",
        "  = db   unchanged  1",
        ""
      ])
      assert.deepInclude(requests[0], { diffFrom: "01JC", diffTo: "01JE" })
      const json = yield* mcp(["history", "shop", "--diff", "01JC", "01JE", "--json"], world)
      assert.deepNestedInclude(json.json, {
        from: "01JC",
        to: "01JE",
        changes: true,
        "components[0].action": "replace"
      })
      const same = yield* mcp(["history", "shop", "--diff=01JC", "01JC"], { agents: { rift: telling({}) } })
      assert.strictEqual(same.out, "shop on rift, 01JC → 01JC: no difference\n")
    })
  )

  it.effect("takes two deployments, which must be there", () =>
    Effect.gen(function* () {
      const unknown = new RpcError({
        code: Code.NOT_FOUND,
        reason: "DEPLOYMENT_NOT_FOUND",
        detail: "no deployment 01JX"
      })
      const world = { agents: { rift: agent({ listDeployments: () => Effect.fail(unknown) }) } }
      const gone = yield* mcp(["history", "shop", "--diff", "01JX", "01JE"], world)
      assert.deepStrictEqual([gone.code, gone.out], [1, ""])
      assert.include(gone.err, "no deployment 01JX")
      for (const [argv, problem] of [
        [["shop", "--diff", "01JX"], "mcp: --diff takes two deployments\n  next: mcp history <service> --diff A B\n"],
        [["shop", "01JX"], "mcp: unexpected argument 01JX\n"],
        [["shop", "--diff", "A", "B", "C"], "mcp: unexpected argument C\n"],
        [["shop", "--diff"], "mcp: "],
        [["--diff", "A", "B", "shop"], "mcp: "],
        [["shop", "--limit", "0"], "mcp: --limit 0: expected 1 to 1000\n"],
        [["shop", "--limit", "-3"], "mcp: --limit -3"],
        [["shop", "--limit", "x"], "mcp: "],
        [[], "mcp: "]
      ] as const) {
        const ran = yield* mcp(["history", ...argv], world)
        assert.deepStrictEqual([ran.code, ran.out], [2, ""], ran.err)
        assert.isTrue(ran.err.startsWith(problem), ran.err)
      }
    })
  )
})
