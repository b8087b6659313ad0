import { create } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { agent, dead, info, listReply, mcp, notFound } from "./support.ts"

const TOML = `# the shop
name = "web"
active = true   # keep this remark

[[components]]
name = "api"
image = "docker.io/library/web:v1"

[[components]]
name = "worker"
image = "docker.io/library/web:v1"
`
const STOPPED = TOML.replace("active = true", "active = false")

const outcomes = (observed: pb.ObservedState, changed = true) =>
  ["api", "worker"].map((component) => ({ component, changed, observed }))

const acting = (calls: Array<string>, changed = true) => {
  const record = (name: string) => (r: { service?: string; component?: string }) => {
    calls.push(`${name} ${r.service}${r.component ? `/${r.component}` : ""}`)
  }
  const reply = (components: ReturnType<typeof outcomes>, r: { component?: string }) =>
    components.filter((o) => !r.component || o.component === r.component)
  return agent({
    stopService: (r) => {
      record("stop")(r)
      return Effect.succeed(
        create(pb.StopServiceResponseSchema, { components: reply(outcomes(pb.ObservedState.STOPPED, changed), r) })
      )
    },
    startService: (r) => {
      record("start")(r)
      return Effect.succeed(
        create(pb.StartServiceResponseSchema, { components: reply(outcomes(pb.ObservedState.RUNNING, changed), r) })
      )
    },
    restartService: (r) => {
      record("restart")(r)
      return Effect.succeed(
        create(pb.RestartServiceResponseSchema, { components: reply(outcomes(pb.ObservedState.RUNNING), r) })
      )
    },
    undeployService: (r) => {
      record("undeploy")(r)
      return Effect.succeed(create(pb.UndeployServiceResponseSchema, { removed: ["web-api", "web-worker"] }))
    }
  })
}

describe("stop and start", () => {
  it.effect("of a service edit its active line, and nothing else of the file", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const stopped = yield* mcp(["stop", "web"], { agents: { rift: acting(calls) }, definitions: { web: TOML } })
      assert.deepStrictEqual(
        [stopped.code, stopped.out, stopped.err],
        [0, "stopped web on rift: api, worker\n", "set active = false in /defs/web.toml\n"]
      )
      assert.strictEqual(stopped.files.get("web"), STOPPED)
      const started = yield* mcp(["start", "web"], { agents: { rift: acting(calls) }, definitions: { web: STOPPED } })
      assert.strictEqual(started.files.get("web"), TOML)
      assert.deepStrictEqual(calls, ["stop web", "start web"])
    })
  )

  it.effect("said twice is no error and changes nothing", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["stop", "web"], { agents: { rift: acting([], false) }, definitions: { web: STOPPED } })
      assert.deepStrictEqual([ran.code, ran.out, ran.err], [0, "web on rift: already stopped\n", ""])
      assert.strictEqual(ran.files.get("web"), STOPPED)
    })
  )

  it.effect("of a component leave the file alone and say what the next deploy does", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const ran = yield* mcp(["stop", "web/api"], { agents: { rift: acting(calls) }, definitions: { web: TOML } })
      assert.deepStrictEqual(
        [ran.code, ran.out, ran.err],
        [
          0,
          "stopped web on rift: api\n",
          "the next deploy or sync of web starts web/api again: its definition is unchanged\n"
        ]
      )
      assert.strictEqual(ran.files.get("web"), TOML)
      assert.deepStrictEqual(calls, ["stop web/api"])
    })
  )

  it.effect("without a local file only warn", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["stop", "web"], { agents: { rift: acting([]) } })
      assert.deepStrictEqual(
        [ran.code, ran.err],
        [0, "warning: there is no definition /defs/web.toml to set active = false in\n"]
      )
    })
  )

  it.effect("do not touch the file when the agent refuses", () =>
    Effect.gen(function* () {
      const rift = agent({ stopService: () => Effect.fail(notFound("web")) })
      const ran = yield* mcp(["stop", "web"], { agents: { rift }, definitions: { web: TOML } })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /^mcp: stop web failed on rift: no service named web/)
      assert.strictEqual(ran.files.get("web"), TOML)
    })
  )

  it.effect("print JSON", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["stop", "web", "--json"], { agents: { rift: acting([]) }, definitions: { web: TOML } })
      assert.deepStrictEqual(ran.json, {
        components: [
          { service: "web", component: "api", node: "rift", changed: true, observed: "stopped" },
          { service: "web", component: "worker", node: "rift", changed: true, observed: "stopped" }
        ],
        edited_files: ["/defs/web.toml"]
      })
    })
  )

  it.effect("--quiet leaves the confirmation out", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["stop", "web", "-q"], { agents: { rift: acting([]) }, definitions: { web: TOML } })
      assert.deepStrictEqual([ran.code, ran.out, ran.err], [0, "", ""])
    })
  )
})

describe("which node", () => {
  const has = (name: string, calls: Array<string>) =>
    Object.assign(Object.create(null), {
      listServices: listReply(info(name, { name: "api" })),
      restartService: () => {
        calls.push(name)
        return Effect.succeed(
          create(pb.RestartServiceResponseSchema, { components: outcomes(pb.ObservedState.RUNNING) })
        )
      }
    })

  it.effect("is the definition's, even when another has the service too", () =>
    Effect.gen(function* () {
      const [a, b]: [Array<string>, Array<string>] = [[], []]
      const agents = { orion: agent(has("web", a)), rift: agent(has("web", b)) }
      const ran = yield* mcp(["restart", "web"], { agents, definitions: { web: `node = "rift"\n${TOML}` } })
      assert.strictEqual(ran.out, "restarted web on rift: api, worker\n")
      assert.deepStrictEqual([a, b], [[], ["web"]])
      const unclear = yield* mcp(["restart", "web"], { agents })
      assert.strictEqual(unclear.code, 2)
      assert.match(unclear.err, /could be meant for any of the nodes orion, rift/)
    })
  )

  it.effect("else the one that has it", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const agents = { orion: agent(has("db", [])), rift: agent(has("web", calls)) }
      const ran = yield* mcp(["restart", "web"], { agents })
      assert.deepStrictEqual([ran.code, calls], [0, ["web"]])
      const unknown = yield* mcp(["restart", "wbe"], { agents })
      assert.deepStrictEqual(
        [unknown.code, unknown.err],
        [1, "mcp: no node has a service named wbe; did you mean web?\n  next: mcp list shows all services\n"]
      )
      const unsure = yield* mcp(["restart", "wbe"], { agents: { ...agents, vega: dead("vega") } })
      assert.match(unsure.err, /as far as can be told: vega did not answer; did you mean web\?/)
    })
  )

  it.effect("that cannot be reached is a failure: exit code 1", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["stop", "web"], { agents: { rift: dead("rift") }, definitions: { web: TOML } })
      assert.strictEqual(ran.code, 1)
      assert.strictEqual(
        ran.err,
        "mcp: stop web failed on rift: cannot reach rift.example:9444: connect ECONNREFUSED\n" +
          "  next: check that rift and its agent are up, and its address in the config\n"
      )
    })
  )

  it.effect("many targets go on when one fails, and every failure is told", () =>
    Effect.gen(function* () {
      const agents = { orion: dead("orion"), rift: acting([]) }
      const definitions = {
        web: `node = "rift"\n${TOML}`,
        db: `node = "orion"\n${TOML}`,
        mail: `node = "orion"\n${TOML}`
      }
      const ran = yield* mcp(["restart", "web", "db", "mail"], { agents, definitions })
      assert.strictEqual(ran.code, 1)
      assert.strictEqual(ran.out, "restarted web on rift: api, worker\n")
      assert.match(ran.err, /restart db failed on orion/)
      assert.match(ran.err, /restart mail failed on orion/)
    })
  )
})

describe("undeploy", () => {
  it.effect("asks on a terminal, and sets active = false", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const world = { agents: { rift: acting(calls) }, definitions: { web: TOML }, tty: true }
      const no = yield* mcp(["undeploy", "web"], { ...world, answers: ["n"] })
      assert.deepStrictEqual([no.code, calls], [1, []])
      assert.match(no.questions[0] ?? "", /^Undeploy web on rift\?.*\[y\/N\] $/)
      const yes = yield* mcp(["undeploy", "web", "--no-color"], { ...world, answers: ["y"] })
      assert.deepStrictEqual([yes.code, yes.out], [0, "undeployed web on rift: removed web-api, web-worker\n"])
      assert.strictEqual(yes.files.get("web"), STOPPED)
    })
  )

  it.effect("without a terminal needs --yes, before or after the name", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const world = { agents: { rift: acting(calls) }, definitions: { web: TOML } }
      const refused = yield* mcp(["undeploy", "web"], world)
      assert.deepStrictEqual(
        [refused.code, refused.err, calls],
        [2, "mcp: undeploy asks first, and nobody is there to answer\n  next: mcp undeploy web --yes\n", []]
      )
      assert.strictEqual((yield* mcp(["undeploy", "web", "--yes"], world)).code, 0)
      const json = yield* mcp(["undeploy", "--yes", "web", "--json"], world)
      assert.deepStrictEqual(json.json, {
        service: "web",
        node: "rift",
        removed: ["web-api", "web-worker"],
        edited_file: "/defs/web.toml"
      })
    })
  )
})
