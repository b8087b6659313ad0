import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { agent, mcp } from "./support.ts"

const ONE = `name = "web" # the shop

[[components]]
name = "api"
image = 'registry.example/web:v1' # keep this remark
`
const TWO = `${ONE}
[[components]]
name = "worker"
image = "registry.example/web:v1"
`
const NEW = "registry.example/web:v2"
const edited = (text: string) => text.replace("'registry.example/web:v1'", `'${NEW}'`)

type Request = MessageInitShape<typeof pb.DeployRequestSchema>

const ending = (state: string, requests: Array<Request> = [], meanwhile = () => {}) =>
  agent({
    deploy: (request) => {
      requests.push(request)
      meanwhile()
      const value = { deployment: "01JD", state, components: [{ component: "api", action: pb.Action.REPLACE }] }
      return Stream.make(create(pb.DeployResponseSchema, { event: { case: "result", value } }))
    }
  })

const imagesSent = (requests: ReadonlyArray<Request>) => requests[0]?.spec?.components?.map((c) => c.image)

describe("deploy --image", () => {
  it.effect("sends that image, and edits the file's line once it runs", () =>
    Effect.gen(function* () {
      const requests: Array<Request> = []
      const world = { agents: { rift: ending("succeeded", requests) }, definitions: { web: ONE } }
      const ran = yield* mcp(["deploy", "web", "--image", NEW], world)
      assert.deepStrictEqual([ran.code, ran.err], [0, "/defs/web.toml: api's image is v2 now\n"])
      assert.strictEqual(ran.files.get("web"), edited(ONE))
      assert.deepStrictEqual(imagesSent(requests), [NEW])
      const json = yield* mcp(["deploy", "web", "--image", NEW, "--json", "-q"], world)
      assert.deepNestedInclude(json.json, { edited_files: ["/defs/web.toml"] })
    })
  )

  it.effect("of one component among several, named in short, or of a file outside the folder", () =>
    Effect.gen(function* () {
      const requests: Array<Request> = []
      const world = { agents: { rift: ending("succeeded", requests) }, definitions: { web: TWO } }
      const ran = yield* mcp(["deploy", "web/api", "--image", "nginx:2"], world)
      assert.strictEqual(ran.files.get("web"), TWO.replace("'registry.example/web:v1'", "'nginx:2'"))
      assert.deepStrictEqual(imagesSent(requests), ["docker.io/library/nginx:2", "registry.example/web:v1"])
      assert.deepStrictEqual(requests[0]?.components, ["api"])
      const file = yield* mcp(["deploy", "-f", "/tmp/x.toml", "--image", NEW], {
        agents: world.agents,
        definitions: { "/tmp/x.toml": ONE }
      })
      assert.strictEqual(file.files.get("/tmp/x.toml"), edited(ONE), file.err)
    })
  )

  it.effect("leaves the file alone when it went back or is not over", () =>
    Effect.gen(function* () {
      const back = yield* mcp(["deploy", "web", "--image", NEW], {
        agents: { rift: ending("rolled_back") },
        definitions: { web: ONE }
      })
      assert.deepStrictEqual([back.code, back.files.get("web")], [1, ONE])
      const going = yield* mcp(["deploy", "web", "--image", NEW, "--no-wait"], {
        agents: { rift: ending("starting") },
        definitions: { web: ONE }
      })
      assert.deepStrictEqual([going.code, going.files.get("web")], [0, ONE])
      assert.include(going.err, `set api's image = "${NEW}" in it once the deployment has succeeded`)
    })
  )

  it.effect("does not undo what was changed meanwhile, and keeps other changes", () =>
    Effect.gen(function* () {
      const changing = (to: string) => {
        const definitions = new Map([["web", ONE]])
        const rift = ending("succeeded", [], () => definitions.set("web", to))
        return mcp(["deploy", "web", "--image", NEW], { agents: { rift }, definitions })
      }
      const other = ONE.replace("web:v1", "web:v9")
      const left = yield* changing(other)
      assert.deepStrictEqual([left.code, left.files.get("web")], [0, other])
      assert.match(left.err, /^warning: \/defs\/web\.toml: api's image was changed to registry\.example\/web:v9 meanw/)
      const more = `${ONE}memory = "1g"\n`
      assert.strictEqual((yield* changing(more)).files.get("web"), edited(more))
      assert.match((yield* changing("name = ")).err, /has no image for api any more/)
    })
  )

  it.effect("a file that cannot be written is told, and what was done too", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["deploy", "web", "--image", NEW], {
        agents: { rift: ending("succeeded") },
        definitions: { web: ONE },
        unwritable: "it is read-only"
      })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.out, /^deployed web on rift/)
      assert.strictEqual(
        ran.err,
        `mcp: /defs/web.toml cannot be written: it is read-only\n  next: set api's image = "${NEW}" by hand, or the next deploy undoes this\n`
      )
    })
  )

  it.effect("needs one component and a reference; nothing is sent", () =>
    Effect.gen(function* () {
      const world = { agents: { rift: agent({}) }, definitions: { web: TWO, db: ONE.replace("web", "db") } }
      for (const [argv, problem] of [
        [["web", "--image", NEW], "--image is for one component: say which of web's, such as web/api"],
        [["web/api", "web/worker", "--image", NEW], "--image is for one component"],
        [["web/api", "db", "--image", NEW], "--image takes one target only"],
        [["--all", "--image", NEW], "--image takes one target only"],
        [["web/apo", "--image", NEW], "service web has no component apo"],
        [["web/api", "--image", "UPPER:case"], "--image UPPER:case: expected an image reference"],
        [["web/api", "--image", 'x"'], "expected an image reference"]
      ] as const) {
        const ran = yield* mcp(["deploy", ...argv], world)
        assert.deepStrictEqual([ran.code, ran.out], [2, ""], ran.err)
        assert.include(ran.err, problem)
      }
    })
  )

  it.effect("goes with --dry-run: the plan of that image, and the file as it was", () =>
    Effect.gen(function* () {
      const sent: Array<string | undefined> = []
      const rift = agent({
        plan: (request) => {
          sent.push(request.spec?.components?.[0]?.image)
          return Effect.succeed(create(pb.PlanResponseSchema, {}))
        }
      })
      const ran = yield* mcp(["deploy", "web", "--image", NEW, "--dry-run"], {
        agents: { rift },
        definitions: { web: ONE }
      })
      assert.deepStrictEqual([ran.code, sent, ran.files.get("web")], [0, [NEW], ONE], ran.err)
    })
  )
})

describe("deploy", () => {
  it.effect("hands --wait over, and shows at once what it waits for", () =>
    Effect.gen(function* () {
      const requests: Array<Request> = []
      const waiting: MessageInitShape<typeof pb.DeployResponseSchema>["event"] = {
        case: "warning",
        value: { message: "stop by eve is under way" }
      }
      const rift = agent({
        deploy: (request) => {
          requests.push(request)
          return Stream.make(
            create(pb.DeployResponseSchema, { event: waiting }),
            create(pb.DeployResponseSchema, { event: { case: "result", value: { state: "succeeded" } } })
          )
        }
      })
      const ran = yield* mcp(["deploy", "web", "--wait"], { agents: { rift }, definitions: { web: ONE } })
      assert.isTrue(requests[0]?.waitForLock)
      assert.isTrue(ran.err.startsWith("web  wait  running  stop by eve is under way\n"), ran.err)
    })
  )

  it.effect("--all skips what was rolled back from, says so and exits with 3; --force does not skip", () =>
    Effect.gen(function* () {
      const requests: Array<Request> = []
      const world = { agents: { rift: ending("pinned", requests) }, definitions: { web: ONE } }
      const ran = yield* mcp(["deploy", "--all"], world)
      assert.deepStrictEqual(
        [ran.code, ran.out, ran.err],
        [3, "web on rift: skipped, rolled back from this definition; change it or use --force\n", ""]
      )
      const json = yield* mcp(["deploy", "--all", "--json"], world)
      assert.deepNestedInclude(json.json, { "services[0].state": "pinned", "services[0].failure": null })
      yield* mcp(["deploy", "--all", "--force"], world)
      yield* mcp(["deploy", "web"], world)
      assert.deepStrictEqual(
        requests.map((r) => r.respectPin),
        [true, true, false, false]
      )
    })
  )

  it.effect("a failure weighs more than what was skipped", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["deploy", "--all"], {
        agents: { rift: ending("pinned"), orion: ending("rolled_back") },
        definitions: {
          web: `node = "rift"\n${ONE}`,
          db: `node = "orion"\n${ONE.replace("web", "db")}`
        }
      })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.out, /^web on rift: skipped/)
    })
  )
})
