import { create } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { strip } from "../../src/cli/ansi.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { agent, ago, dead, info, listReply, live, liveReply, mcp, notFound } from "./support.ts"

const lines = (...text: ReadonlyArray<string>) => `${text.join("\n")}\n`

const rift = agent({
  liveCheck: liveReply(
    live({ component: "worker", observed: pb.ObservedState.EXITED, exitCode: 1, restarts: 3 }),
    live({ component: "api", ports: ["127.0.0.1:18080->80/tcp"], containerId: "c0ffee" })
  ),
  listServices: listReply(
    info("web", { name: "api", container: "web-api" }, { name: "worker", observed: pb.ObservedState.EXITED })
  )
})

describe("ps", () => {
  it.effect("is a table sorted by service and component", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["ps"], { agents: { rift } })
      assert.strictEqual(
        ran.out,
        lines(
          "SERVICE  COMPONENT  NODE  STATE       VERSION  UPTIME  PORTS                    RESTARTS",
          "web      api        rift  running     v1       2m19s   127.0.0.1:18080->80/tcp  0",
          "web      worker     rift  exited (1)  v1       -       -                        3"
        )
      )
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
    })
  )

  it.effect("prints one JSON document", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["ps", "--json"], { agents: { rift } })
      assert.deepStrictEqual(ran.json, {
        components: [
          {
            service: "web",
            component: "api",
            node: "rift",
            container: "web-api",
            container_id: "c0ffee",
            desired: "running",
            state: "running",
            health: null,
            exit_code: null,
            image: "docker.io/library/web:v1",
            version: "v1",
            started_at: "2026-11-25T11:57:41.000Z",
            uptime_ms: 139000,
            restarts: 0,
            restart_at: null,
            ports: ["127.0.0.1:18080->80/tcp"]
          },
          {
            service: "web",
            component: "worker",
            node: "rift",
            container: "web-worker",
            container_id: null,
            desired: "running",
            state: "exited",
            health: null,
            exit_code: 1,
            image: "docker.io/library/web:v1",
            version: "v1",
            started_at: "2026-11-25T11:57:41.000Z",
            uptime_ms: null,
            restarts: 3,
            restart_at: null,
            ports: []
          }
        ],
        unreachable_nodes: []
      })
    })
  )

  it.effect("shows an unreachable node as a row, the others whole, and exits with 4", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["ps"], { agents: { orion: dead("orion"), rift } })
      assert.strictEqual(ran.code, 4)
      assert.match(ran.out, /^web +api +rift +running/m)
      assert.match(ran.out, /^- +- +orion +unreachable( +-){3} +-$/m)
      assert.strictEqual(
        ran.err,
        lines(
          "mcp: orion did not answer: cannot reach orion.example:9444: connect ECONNREFUSED",
          "  next: check that orion and its agent are up, and its address in the config"
        )
      )
      const json = yield* mcp(["--json", "ps"], { agents: { orion: dead("orion"), rift } })
      assert.deepInclude(json.json, {
        unreachable_nodes: [
          {
            node: "orion",
            reason: "NODE_UNREACHABLE",
            message: "cannot reach orion.example:9444: connect ECONNREFUSED"
          }
        ]
      })
      assert.strictEqual(json.code, 4)
    })
  )

  it.effect("says so when nothing runs", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["ps"], { agents: { rift: agent({ liveCheck: liveReply() }) } })
      assert.deepStrictEqual([ran.code, ran.out, ran.err], [0, "", "nothing runs on rift\n"])
      const two = yield* mcp(["ps"], { agents: { orion: dead("orion"), rift: agent({ liveCheck: liveReply() }) } })
      assert.strictEqual(two.code, 4)
      assert.match(two.err, /^nothing runs on rift\n/)
      assert.match(two.out, /orion +unreachable/)
    })
  )

  it.effect("is fitted to the terminal's width, and coloured there only", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["ps"], { agents: { rift }, tty: true, columns: 60 })
      const plain = strip(ran.out).trimEnd().split("\n")
      assert.isTrue(
        plain.every((line) => line.length <= 60),
        ran.out
      )
      const wide = yield* mcp(["ps"], { agents: { rift }, tty: true })
      assert.include(wide.out, "\u001b[32mrunning\u001b[0m")
      const bare = yield* mcp(["ps", "--no-color"], { agents: { rift }, tty: true })
      assert.notInclude(bare.out, "\u001b")
    })
  )

  it.effect("with a token that no node accepts exits with 5", () =>
    Effect.gen(function* () {
      const expired = new RpcError({
        code: Code.UNAUTHENTICATED,
        reason: "TOKEN_EXPIRED",
        detail: "the token expired",
        nextStep: "x"
      })
      const ran = yield* mcp(["ps"], { agents: { rift: agent({ liveCheck: () => Effect.fail(expired) }) } })
      assert.deepStrictEqual(
        [ran.code, ran.out, ran.err],
        [5, "", "mcp: ps failed on rift: the token expired\n  next: mcp login\n"]
      )
      const none = yield* mcp(["ps"], { agents: { rift }, token: undefined })
      assert.deepStrictEqual(
        [none.code, none.err],
        [5, "mcp: not logged in: there is no token at /home/me/token\n  next: mcp login\n"]
      )
    })
  )
})

describe("list", () => {
  it.effect("shows the registries of all nodes", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["list"], {
        agents: { rift, orion: agent({ listServices: listReply(info("db", { name: "db" })) }) }
      })
      assert.strictEqual(
        ran.out,
        lines(
          "SERVICE  COMPONENT  NODE   DESIRED  OBSERVED  VERSION",
          "db       db         orion  running  running   v1",
          "web      api        rift   running  running   v1",
          "web      worker     rift   running  exited    v1"
        )
      )
      const json = yield* mcp(["list", "--json"], { agents: { rift } })
      assert.deepNestedInclude(json.json, { "components[0].component": "api", "components[1].observed": "exited" })
      const none = yield* mcp(["list"], { agents: { rift: agent({ listServices: listReply() }) } })
      assert.deepStrictEqual([none.code, none.err], [0, "no services on rift\n"])
    })
  )
})

describe("status", () => {
  const web = create(pb.ServiceStatusSchema, {
    info: info("web", { name: "worker" }, { name: "api", version: "v2" }),
    live: [
      live({ component: "api", version: "v1", health: "healthy", drift: ["image"] }),
      live({ component: "worker", observed: pb.ObservedState.EXITED, exitCode: 1, drift: ["stopped"] })
    ],
    deployments: [{ id: "01J", state: "rolled_back", actor: "admin", startedAt: ago(60), error: "api: exited with 1" }]
  })
  const reply = (...services: ReadonlyArray<pb.ServiceStatus>) =>
    agent({
      getServiceStatus: () => Effect.succeed(create(pb.GetServiceStatusResponseSchema, { services: [...services] }))
    })

  it.effect("shows a service whole", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["status", "web"], { agents: { rift: reply(web) } })
      assert.strictEqual(
        ran.out,
        lines(
          "web on rift: drift in api, worker",
          "  COMPONENT  DESIRED  OBSERVED    VERSION     HEALTH   UPTIME  PORTS  RESTARTS  DRIFT",
          "  api        running  running     v1, not v2  healthy  2m19s   -      0         image",
          "  worker     running  exited (1)  v1          -        -       -      0         stopped",
          "  2026-11-25T11:59:00Z  rolled_back by admin: api: exited with 1"
        )
      )
      assert.strictEqual(ran.code, 0)
    })
  )

  it.effect("--exit-code tells drift by 3", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* mcp(["status", "--exit-code", "web"], { agents: { rift: reply(web) } })).code, 3)
      const well = create(pb.ServiceStatusSchema, {
        info: info("web", { name: "api" }),
        live: [live({ component: "api" })]
      })
      const ran = yield* mcp(["status", "web", "--exit-code"], { agents: { rift: reply(well) } })
      assert.strictEqual(ran.code, 0)
      assert.match(ran.out, /^web on rift: running as desired\n/)
    })
  )

  it.effect("asks all nodes without a service, and survives a dead one", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["status", "--json"], { agents: { orion: dead("orion"), rift: reply(web) } })
      assert.strictEqual(ran.code, 4)
      assert.deepNestedInclude(ran.json, {
        "services[0].service": "web",
        "services[0].drift": true,
        "services[0].components[0].drift": ["image"],
        "services[0].deployments[0].actor": "admin",
        "unreachable_nodes[0].node": "orion"
      })
      const human = yield* mcp(["status"], { agents: { orion: dead("orion"), rift: reply(web) } })
      assert.match(human.out, /\norion: unreachable\n$/)
    })
  )

  it.effect("an unknown service is an error that says which is near", () =>
    Effect.gen(function* () {
      const rift = agent({ getServiceStatus: () => Effect.fail(notFound("wbe")) })
      const ran = yield* mcp(["status", "wbe"], { agents: { rift } })
      assert.deepStrictEqual(
        [ran.code, ran.err],
        [
          1,
          lines(
            "mcp: status wbe failed on rift: no service named wbe on this node; did you mean web?",
            "  next: mcp list shows the services of all nodes"
          )
        ]
      )
    })
  )
})

describe("node list", () => {
  it.effect("shows how each node is", () =>
    Effect.gen(function* () {
      const rift = agent({
        nodeStatus: () =>
          Effect.succeed(
            create(pb.NodeStatusResponseSchema, {
              node: "rift",
              version: "0.1.0",
              arch: "amd64",
              role: "worker",
              services: 2,
              runtime: { available: true, version: "4.3.1" }
            })
          )
      })
      const ran = yield* mcp(["node", "list"], { agents: { orion: dead("orion"), rift } })
      assert.strictEqual(ran.code, 4)
      assert.strictEqual(
        ran.out,
        lines(
          "NAME   ROLE    ADDRESS             ARCH   STATUS       VERSION  SERVICES  LAST-SEEN",
          "orion  -       orion.example:9444  -      unreachable  -        -         -",
          "rift   worker  rift.example:9444   amd64  ready        0.1.0    2         now"
        )
      )
      const json = yield* mcp(["node", "list", "--json"], { agents: { rift } })
      assert.deepNestedInclude(json.json, {
        "nodes[0].status": "ready",
        "nodes[0].last_seen": "2026-11-25T12:00:00.000Z"
      })
    })
  )
})
