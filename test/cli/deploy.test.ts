import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { agent, dead, live, mcp, unreachable } from "./support.ts"

const toml = (name: string, extra = "") => `name = "${name}"
${extra}
[[components]]
name = "api"
image = "registry.example/web:v2"
[[components]]
name = "worker"
image = "registry.example/web:v2"
depends_on = ["api"]
`
const image = (tag: string) => `registry.example/web:${tag}`

type Event = MessageInitShape<typeof pb.DeployResponseSchema>["event"]

const started: Event = {
  case: "started",
  value: {
    deployment: "01JD",
    plan: [
      { component: "api", action: pb.Action.REPLACE, fromImage: image("v1"), toImage: image("v2") },
      { component: "worker", action: pb.Action.UNCHANGED, fromImage: image("v2"), toImage: image("v2") }
    ]
  }
}
const step = (name: string, state: string, durationMs = 0n, message = ""): Event => ({
  case: "step",
  value: { component: "api", step: name, state, durationMs, message }
})
const warning = (message: string): Event => ({ case: "warning", value: { component: "api", message } })
const components = [
  {
    component: "api",
    action: pb.Action.REPLACE,
    fromImage: image("v1"),
    toImage: image("v2"),
    durationMs: 1340n,
    containerId: "c1",
    steps: [
      { step: "create", durationMs: 140n },
      { step: "ready", durationMs: 1200n }
    ]
  },
  { component: "worker", action: pb.Action.UNCHANGED, fromImage: image("v2"), toImage: image("v2") }
]
const succeeded: Event = {
  case: "result",
  value: { deployment: "01JD", state: "succeeded", durationMs: 1500n, components }
}
const rolledBack: Event = {
  case: "result",
  value: {
    deployment: "01JD",
    state: "rolled_back",
    durationMs: 900n,
    components,
    after: [live({ component: "api", version: "v1" }), live({ component: "worker", version: "v2" })],
    failure: {
      component: "api",
      reason: "EXITED_1",
      message: "api did not become ready: it exited with 1",
      nextStep: "read the program's last lines above",
      lastLogs: ["starting", "panic: no config"]
    }
  }
}

const deploying = (events: ReadonlyArray<Event>, requests: Array<Partial<pb.DeployRequest>> = []) =>
  agent({
    deploy: (request) => {
      requests.push(request as Partial<pb.DeployRequest>)
      return Stream.fromIterable(events.map((event) => create(pb.DeployResponseSchema, { event: event as never })))
    }
  })

const fine = [
  started,
  step("pull", "running"),
  step("pull", "done", 320n),
  step("ready", "done", 1020n, "http 200"),
  succeeded
]

describe("deploy", () => {
  it.effect("tells finished steps as plain lines in a pipe, and the outcome on stdout", () =>
    Effect.gen(function* () {
      const requests: Array<Partial<pb.DeployRequest>> = []
      const ran = yield* mcp(["deploy", "web"], {
        agents: { rift: deploying(fine, requests) },
        definitions: { web: toml("web") }
      })
      assert.strictEqual(ran.code, 0)
      assert.strictEqual(ran.err, "api  pull  320ms\napi  ready  1.0s  http 200\n")
      assert.strictEqual(
        ran.out,
        [
          "deployed web on rift in 1.5s",
          "  COMPONENT  ACTION     VERSION  TIME",
          "  api        replaced   v1 → v2  1.3s",
          "  worker     unchanged  v2       -",
          ""
        ].join("\n")
      )
      assert.deepInclude(requests[0], { components: [], force: false, pull: false, noWait: false })
      assert.strictEqual(requests[0]?.spec?.name, "web")
      assert.strictEqual(requests[0]?.spec?.components.length, 2)
    })
  )

  it.effect("redraws its lines in place on a terminal", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["deploy", "web"], {
        agents: { rift: deploying(fine) },
        definitions: { web: toml("web") },
        tty: true
      })
      assert.strictEqual(ran.code, 0)
      assert.isTrue(ran.err.startsWith("\u001b[?25l") && ran.err.endsWith("\u001b[?25h"), JSON.stringify(ran.err))
      assert.match(ran.err, /api +ready +1\.0s {2}http 200/)
      assert.match(ran.err, /worker +unchanged/)
    })
  )

  it.effect("hands its options and components over", () =>
    Effect.gen(function* () {
      const requests: Array<Partial<pb.DeployRequest>> = []
      const world = { agents: { rift: deploying(fine, requests) }, definitions: { web: toml("web") } }
      yield* mcp(["deploy", "web/api", "--force", "--pull", "--no-wait"], world)
      assert.deepInclude(requests[0], { components: ["api"], force: true, pull: true, noWait: true })
    })
  )

  it.effect("--json is one document, and --quiet leaves the steps out", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["deploy", "web", "--json", "-q"], {
        agents: { rift: deploying([...fine.slice(0, 1), warning("latest is no version"), ...fine.slice(1)]) },
        definitions: { web: toml("web") }
      })
      assert.deepStrictEqual(ran.json, {
        services: [
          {
            service: "web",
            node: "rift",
            deployment: "01JD",
            state: "succeeded",
            duration_ms: 1500,
            components: [
              {
                component: "api",
                action: "replace",
                from_image: image("v1"),
                to_image: image("v2"),
                duration_ms: 1340,
                container_id: "c1",
                steps: [
                  { step: "create", duration_ms: 140 },
                  { step: "ready", duration_ms: 1200 }
                ]
              },
              {
                component: "worker",
                action: "unchanged",
                from_image: image("v2"),
                to_image: image("v2"),
                duration_ms: 0,
                container_id: null,
                steps: []
              }
            ],
            warnings: ["api: latest is no version"],
            failure: null
          }
        ],
        edited_files: []
      })
      assert.strictEqual(ran.err, "warning: api: latest is no version\n")
    })
  )

  it.effect("gone back says why, the last lines, what runs now and what to do", () =>
    Effect.gen(function* () {
      const agents = { rift: deploying([started, step("ready", "failed", 800n, "exited with 1"), rolledBack]) }
      const ran = yield* mcp(["deploy", "web"], { agents, definitions: { web: toml("web") } })
      assert.deepStrictEqual([ran.code, ran.out], [1, ""])
      assert.strictEqual(
        ran.err,
        [
          "api  ready  failed after 800ms  exited with 1",
          "mcp: deploy web failed on rift: api did not become ready: it exited with 1 (EXITED_1)",
          "  last lines of api:",
          "    starting",
          "    panic: no config",
          "  now: the old version is running again (api v1, worker v2)",
          "  next: read the program's last lines above",
          ""
        ].join("\n")
      )
      const json = yield* mcp(["deploy", "web", "--json"], { agents, definitions: { web: toml("web") } })
      assert.deepNestedInclude(json.json, {
        "services[0].state": "rolled_back",
        "services[0].failure.reason": "EXITED_1",
        "services[0].failure.last_logs": ["starting", "panic: no config"]
      })
      assert.strictEqual(json.code, 1)
    })
  )

  it.effect("does not claim that the old version runs when it does not", () =>
    Effect.gen(function* () {
      const now = (...after: ReadonlyArray<pb.LiveComponent>) => {
        const event = { ...rolledBack, value: { ...rolledBack.value, after: [...after] } } as Event
        return Effect.map(
          mcp(["deploy", "web"], { agents: { rift: deploying([event]) }, definitions: { web: toml("web") } }),
          (ran) => ran.err.split("\n").find((line) => line.startsWith("  now:"))
        )
      }
      const exited = live({ component: "api", observed: pb.ObservedState.EXITED })
      assert.strictEqual(yield* now(), "  now: nothing of web runs: there was no earlier version to go back to")
      assert.strictEqual(yield* now(exited), "  now: back to what was there before; nothing of web runs (api v1)")
      assert.strictEqual(
        yield* now(exited, live({ component: "worker" })),
        "  now: the old version is running again (worker v1); not running: api v1"
      )
    })
  )

  it.effect("says that the agent goes on when the connection is lost", () =>
    Effect.gen(function* () {
      const rift = agent({
        deploy: () =>
          Stream.concat(
            Stream.make(create(pb.DeployResponseSchema, { event: started as never })),
            Stream.fail(unreachable("rift.example:9444"))
          )
      })
      const ran = yield* mcp(["deploy", "web"], { agents: { rift }, definitions: { web: toml("web") } })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /now: not known: rift goes on with the deployment by itself\n {2}next: mcp status web\n$/)
    })
  )

  it.effect("many services go side by side; one that fails stops no other", () =>
    Effect.gen(function* () {
      const agents = { orion: dead("orion"), rift: deploying(fine) }
      const definitions = { web: toml("web", 'node = "rift"'), db: toml("db", 'node = "orion"') }
      const ran = yield* mcp(["deploy", "--all"], { agents, definitions })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.out, /^deployed web on rift/)
      assert.match(ran.err, /^web\/api {2}pull/m)
      assert.match(ran.err, /^mcp: deploy db failed on orion: cannot reach/m)
    })
  )

  it.effect("a guest is refused with 5", () =>
    Effect.gen(function* () {
      const guest = new RpcError({
        code: Code.PERMISSION_DENIED,
        reason: "ACCOUNT_REFUSED",
        detail: "eve: guests may do nothing",
        nextStep: "log in with another account: mcp login"
      })
      const ran = yield* mcp(["deploy", "web"], {
        agents: { rift: agent({ deploy: () => Stream.fail(guest) }) },
        definitions: { web: toml("web") }
      })
      assert.deepStrictEqual(
        [ran.code, ran.err],
        [
          5,
          "mcp: deploy web failed on rift: eve: guests may do nothing\n  next: log in with another account: mcp login\n"
        ]
      )
    })
  )
})

describe("definitions", () => {
  const refuse = agent({})
  it.effect("with errors: all problems of all files, exit code 2, nothing sent", () =>
    Effect.gen(function* () {
      const definitions = {
        web: toml("web").replace('name = "api"', 'name = "api"\nimgae = "x"\nuser = 5'),
        db: 'name = "dbx"\ncomponents = []\n'
      }
      for (const argv of [["deploy", "web", "db"], ["deploy", "--all"], ["plan"], ["deploy", "--all", "--dry-run"]]) {
        const ran = yield* mcp(argv, { agents: { rift: refuse }, definitions })
        assert.deepStrictEqual([ran.code, ran.out], [2, ""], ran.err)
        assert.match(ran.err, /^\/defs\/web\.toml:\d+:\d+: .*imgae/m)
        assert.match(ran.err, /^\/defs\/web\.toml:\d+:\d+: .*user/m)
        assert.match(ran.err, /^\/defs\/db\.toml:\d+:\d+: /m)
        assert.match(ran.err, /^mcp: \d+ problems in 2 definitions; nothing was sent$/m)
      }
    })
  )

  it.effect("of others do not matter, unless a container's name would be taken twice", () =>
    Effect.gen(function* () {
      const definitions = { web: toml("web"), broken: "name = " }
      const ran = yield* mcp(["deploy", "web"], { agents: { rift: deploying(fine) }, definitions })
      assert.strictEqual(ran.code, 0, ran.err)
      const clash = {
        "a-b": '[[components]]\nname = "c"\nimage = "x:v1"\n',
        a: '[[components]]\nname = "b-c"\nimage = "x:v1"\n'
      }
      const named = Object.fromEntries(Object.entries(clash).map(([name, text]) => [name, `name = "${name}"\n${text}`]))
      const refused = yield* mcp(["deploy", "a"], { agents: { rift: refuse }, definitions: named })
      assert.strictEqual(refused.code, 2, refused.err)
      assert.match(refused.err, /a-b-c/)
    })
  )

  it.effect("that are not there: the nearest is named", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["deploy", "wbe"], { agents: { rift: refuse }, definitions: { web: toml("web") } })
      assert.deepStrictEqual(
        [ran.code, ran.err],
        [
          2,
          "mcp: there is no definition /defs/wbe.toml; did you mean web?\n  next: mcp service new writes one; -f names a file elsewhere\n"
        ]
      )
      const component = yield* mcp(["deploy", "web/apo"], {
        agents: { rift: refuse },
        definitions: { web: toml("web") }
      })
      assert.deepStrictEqual(
        [component.code, component.err.split("\n")[0]],
        [2, "mcp: service web has no component apo; it has api, worker; did you mean api?"]
      )
    })
  )

  it.effect("choose the node, which must be known", () =>
    Effect.gen(function* () {
      const unknown = yield* mcp(["deploy", "web"], {
        agents: { rift: refuse },
        definitions: { web: toml("web", 'node = "rfit"') }
      })
      assert.strictEqual(unknown.code, 2)
      assert.match(unknown.err, /belongs on node rfit, which the config does not have; did you mean rift\?/)
      const unclear = yield* mcp(["deploy", "web"], {
        agents: { orion: refuse, rift: refuse },
        definitions: { web: toml("web") }
      })
      assert.strictEqual(unclear.code, 2)
      assert.match(unclear.err, /any of the nodes orion, rift/)
    })
  )

  it.effect("must be chosen clearly", () =>
    Effect.gen(function* () {
      const world = { agents: { rift: refuse }, definitions: { web: toml("web") } }
      for (const argv of [["deploy"], ["deploy", "--all", "web"], ["deploy", "--all", "-f", "x.toml"]]) {
        assert.strictEqual((yield* mcp(argv, world)).code, 2, argv.join(" "))
      }
      const none = yield* mcp(["deploy", "--all"], { agents: { rift: refuse } })
      assert.match(none.err, /there are no definitions in \/defs/)
    })
  )
})

describe("plan", () => {
  const planning = (changes: boolean) =>
    agent({
      plan: () =>
        Effect.succeed(
          create(pb.PlanResponseSchema, {
            components: changes
              ? [
                  {
                    component: "api",
                    action: pb.Action.REPLACE,
                    fromImage: image("v1"),
                    toImage: image("v2"),
                    why: "the definition changed",
                    changes: [{ field: "memory", from: "", to: "512m" }]
                  },
                  { component: "worker", action: pb.Action.CREATE, toImage: image("v2") }
                ]
              : [{ component: "api", action: pb.Action.UNCHANGED, fromImage: image("v2"), toImage: image("v2") }],
            warnings: ["latest is no version"]
          })
        )
    })
  const world = (changes: boolean) => ({ agents: { rift: planning(changes) }, definitions: { web: toml("web") } })

  it.effect("shows what would change, and deploy --dry-run is the same", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["plan", "web"], world(true))
      assert.strictEqual(
        ran.out,
        [
          "web on rift: 1 to create, 1 to replace",
          "  ~ api     replace    v1 → v2  (the definition changed)",
          "      memory: (none) → 512m",
          "  + worker  create     v2",
          ""
        ].join("\n")
      )
      assert.deepStrictEqual([ran.code, ran.err], [0, "warning: latest is no version\n"])
      assert.strictEqual((yield* mcp(["deploy", "web", "--dry-run"], world(true))).out, ran.out)
      assert.strictEqual(
        (yield* mcp(["plan"], world(false))).out,
        "web on rift: nothing to do\n  = api  unchanged  v2\n"
      )
    })
  )

  it.effect("--exit-code tells changes by 3", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* mcp(["plan", "--exit-code"], world(true))).code, 3)
      assert.strictEqual((yield* mcp(["plan", "web", "--exit-code"], world(false))).code, 0)
    })
  )

  it.effect("prints JSON", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["plan", "--json"], world(true))
      assert.deepNestedInclude(ran.json, {
        "services[0].changes": true,
        "services[0].components[0].action": "replace",
        "services[0].components[0].changes": [{ field: "memory", from: "", to: "512m" }],
        "services[0].components[1].from_image": null
      })
    })
  )
})
