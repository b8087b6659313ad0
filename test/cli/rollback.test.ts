import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { agent, dead, live, mcp, unreachable } from "./support.ts"

const image = (tag: string) => `registry.example/shop:${tag}`
const TOML = `name = "shop"

[[components]]
name = "web"
image = "${image("v2")}" # the shop front

[[components]]
name = "db"
image = "db:1"
`
const BACK = TOML.replace("shop:v2", "shop:v1")
const PINNED =
  "the definition still describes the version that was rolled back from: mcp deploy --all and mcp sync skip it until it changes, or with --force\n"

type Message = MessageInitShape<typeof pb.RollbackServiceResponseSchema>
type Target = MessageInitShape<typeof pb.RollbackTargetSchema>
type Request = MessageInitShape<typeof pb.RollbackServiceRequestSchema>

const images: Target = {
  deployment: "01JC",
  onlyImages: true,
  images: [{ component: "web", from: image("v2"), to: image("v1") }]
}
const more: Target = { ...images, onlyImages: false }

const started: Message = {
  progress: {
    event: { case: "started", value: { deployment: "01JE", plan: [{ component: "web", action: pb.Action.REPLACE }] } }
  }
}
const step: Message = {
  progress: { event: { case: "step", value: { component: "web", step: "ready", state: "done", durationMs: 320n } } }
}
const result = (state: string, init: MessageInitShape<typeof pb.DeployResultSchema> = {}): Message => ({
  progress: {
    event: {
      case: "result",
      value: {
        deployment: "01JE",
        state,
        durationMs: 1500n,
        components: [
          {
            component: "web",
            action: pb.Action.REPLACE,
            fromImage: image("v2"),
            toImage: image("v1"),
            durationMs: 900n
          },
          { component: "db", action: pb.Action.UNCHANGED, fromImage: "db:1", toImage: "db:1" }
        ],
        ...init
      }
    }
  }
})

const rolling = (messages: ReadonlyArray<Message>, requests: Array<Request> = []) =>
  agent({
    rollbackService: (request) => {
      requests.push(request)
      return Stream.fromIterable(messages.map((m) => create(pb.RollbackServiceResponseSchema, m)))
    }
  })

const fine = (target: Target) => rolling([{ target }, started, step, result("succeeded")])

describe("rollback", () => {
  it.effect("tells progress and result as deploy does, and the definition follows by its image lines", () =>
    Effect.gen(function* () {
      const requests: Array<Request> = []
      const rift = rolling([{ ...started, target: images }, step, result("succeeded")], requests)
      const ran = yield* mcp(["rollback", "shop"], { agents: { rift }, definitions: { shop: TOML } })
      assert.strictEqual(ran.code, 0)
      assert.strictEqual(ran.err, "web  ready  320ms\n/defs/shop.toml: web's image is v1 now\n")
      assert.strictEqual(
        ran.out,
        [
          "rolled shop on rift back to 01JC in 1.5s",
          "  COMPONENT  ACTION     VERSION  TIME",
          "  web        replaced   v2 → v1  900ms",
          "  db         unchanged  1        -",
          ""
        ].join("\n")
      )
      assert.strictEqual(ran.files.get("shop"), BACK)
      assert.deepStrictEqual(requests, [{ service: "shop", to: "", noWait: false, waitForLock: false }])
    })
  )

  it.effect("hands its options over as they are", () =>
    Effect.gen(function* () {
      const requests: Array<Request> = []
      const rift = rolling([result("starting")], requests)
      yield* mcp(["rollback", "shop", "--to", "01J", "--no-wait", "--wait"], { agents: { rift } })
      assert.deepStrictEqual(requests, [{ service: "shop", to: "01J", noWait: true, waitForLock: true }])
    })
  )

  it.effect("where more than images differs the file stays, and what that means is said", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["rollback", "shop", "-q"], { agents: { rift: fine(more) }, definitions: { shop: TOML } })
      assert.deepStrictEqual([ran.code, ran.err, ran.files.get("shop")], [0, "", TOML])
      const loud = yield* mcp(["rollback", "shop"], { agents: { rift: fine(more) }, definitions: { shop: TOML } })
      assert.deepStrictEqual([loud.code, loud.err], [0, `web  ready  320ms\n${PINNED}`])
    })
  )

  it.effect("without a local file only warns", () =>
    Effect.gen(function* () {
      for (const target of [images, more]) {
        const ran = yield* mcp(["rollback", "shop"], { agents: { rift: fine(target) } })
        assert.strictEqual(ran.code, 0)
        assert.match(ran.err, /^warning: there is no definition \/defs\/shop\.toml to follow/m)
      }
    })
  )

  it.effect("leaves an image line that says something else by now", () =>
    Effect.gen(function* () {
      const changed = TOML.replace("shop:v2", "shop:v3")
      const ran = yield* mcp(["rollback", "shop"], { agents: { rift: fine(images) }, definitions: { shop: changed } })
      assert.deepStrictEqual([ran.code, ran.files.get("shop")], [0, changed])
      assert.match(ran.err, /^warning: .*web's image was changed to registry\.example\/shop:v3 meanwhile, and is left/m)
      const already = yield* mcp(["rollback", "shop"], { agents: { rift: fine(images) }, definitions: { shop: BACK } })
      assert.deepStrictEqual([already.code, already.err], [0, "web  ready  320ms\n"])
      const gone = yield* mcp(["rollback", "shop"], {
        agents: { rift: fine(images) },
        definitions: { shop: "name = " }
      })
      assert.match(gone.err, /^warning: \/defs\/shop\.toml has no image for web any more$/m)
    })
  )

  it.effect("edits what it can of several", () =>
    Effect.gen(function* () {
      const both = { ...images, images: [...(images.images ?? []), { component: "db", from: "db:0", to: "db:9" }] }
      const ran = yield* mcp(["rollback", "shop"], { agents: { rift: fine(both) }, definitions: { shop: TOML } })
      assert.strictEqual(ran.files.get("shop"), BACK)
      assert.match(ran.err, /db's image was changed to db:1 meanwhile/)
    })
  )

  it.effect("a file that cannot be written is an error, after the result", () =>
    Effect.gen(function* () {
      const world = { agents: { rift: fine(images) }, definitions: { shop: TOML }, unwritable: "it is read-only" }
      const ran = yield* mcp(["rollback", "shop", "-q"], world)
      assert.strictEqual(ran.code, 1)
      assert.match(ran.out, /^rolled shop on rift back/)
      assert.strictEqual(
        ran.err,
        `mcp: /defs/shop.toml cannot be written: it is read-only\n  next: set web's image = "${image("v1")}" by hand, or the next deploy undoes this\n`
      )
    })
  )

  it.effect("--no-wait says that the agent goes on, and edits nothing yet", () =>
    Effect.gen(function* () {
      const rift = rolling([{ target: images }, result("starting")])
      const ran = yield* mcp(["rollback", "shop", "--no-wait"], { agents: { rift }, definitions: { shop: TOML } })
      assert.deepStrictEqual([ran.code, ran.files.get("shop")], [0, TOML])
      assert.match(
        ran.out,
        /^started to roll shop on rift back to 01JC; the agent goes on watching it: mcp status shop$/m
      )
      assert.include(ran.err, "/defs/shop.toml is as it was")
    })
  )

  it.effect("that fails says which version runs, exits with 1 and edits nothing", () =>
    Effect.gen(function* () {
      const rift = rolling([
        { target: images },
        started,
        result("rolled_back", {
          after: [live({ component: "web", version: "v2" })],
          failure: { component: "web", reason: "EXITED_1", message: "web exited with 1", nextStep: "see its logs" }
        })
      ])
      const ran = yield* mcp(["rollback", "shop"], { agents: { rift }, definitions: { shop: TOML } })
      assert.deepStrictEqual([ran.code, ran.out, ran.files.get("shop")], [1, "", TOML])
      assert.strictEqual(
        ran.err,
        "mcp: rollback shop failed on rift: web exited with 1 (EXITED_1)\n  now: the version before is running again (web v2)\n  next: see its logs\n"
      )
    })
  )

  it.effect("to a deployment that there is not, without an earlier one, or without a node", () =>
    Effect.gen(function* () {
      const unknown = new RpcError({
        code: Code.NOT_FOUND,
        reason: "DEPLOYMENT_NOT_FOUND",
        detail: "shop has no deployment 01JX",
        nextStep: "mcp history shop"
      })
      const rift = agent({ rollbackService: () => Stream.fail(unknown) })
      const world = { agents: { rift }, definitions: { shop: TOML } }
      const ran = yield* mcp(["rollback", "shop", "--to", "01JX"], world)
      assert.deepStrictEqual(
        [ran.code, ran.out, ran.err],
        [1, "", "mcp: rollback shop failed on rift: shop has no deployment 01JX\n  next: mcp history shop\n"]
      )
      assert.strictEqual(ran.files.get("shop"), TOML)
      assert.strictEqual((yield* mcp(["rollback", "shop"], { agents: { rift: dead("rift") } })).code, 1)
      for (const argv of [
        ["rollback"],
        ["rollback", "shop/web"],
        ["rollback", "shop", "db"],
        ["rollback", "shop", "--to"]
      ]) {
        assert.strictEqual((yield* mcp(argv, world)).code, 2, argv.join(" "))
      }
    })
  )

  it.effect("goes on without us when the connection is lost", () =>
    Effect.gen(function* () {
      const rift = agent({
        rollbackService: () =>
          Stream.concat(
            Stream.make(create(pb.RollbackServiceResponseSchema, { ...started, target: images })),
            Stream.fail(unreachable("rift.example:9444"))
          )
      })
      const ran = yield* mcp(["rollback", "shop"], { agents: { rift }, definitions: { shop: TOML } })
      assert.deepStrictEqual([ran.code, ran.files.get("shop")], [1, TOML])
      assert.match(ran.err, /now: not known: rift goes on with the deployment by itself/)
    })
  )

  it.effect("prints one JSON document", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["rollback", "shop", "--json", "-q"], {
        agents: { rift: fine(images) },
        definitions: { shop: TOML }
      })
      assert.deepNestedInclude(ran.json, {
        service: "shop",
        node: "rift",
        deployment: "01JE",
        state: "succeeded",
        to: "01JC",
        only_images: true,
        images: [{ component: "web", from: image("v2"), to: image("v1") }],
        edited_file: "/defs/shop.toml",
        failure: null,
        "components[0].action": "replace"
      })
    })
  )
})
