import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { deploy, planDeploy } from "../../src/programs/deploy.ts"
import { recover } from "../../src/programs/recover.ts"
import { live } from "../../src/programs/report.ts"
import { Registry } from "../../src/services/Registry.ts"
import { RuntimeRefused, RuntimeUnavailable } from "../../src/services/RuntimeError.ts"
import { asked, deployed, node, passTime, shop, specOf, until } from "./support.ts"

const images = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  for (const version of ["1", "2"]) {
    yield* control.addImage(`localhost/web:${version}`)
    yield* control.addImage(`localhost/worker:${version}`)
  }
  return control
})

/** name, image and state of every container, sorted: what `podman ps -a` would show. */
const containers = Effect.gen(function* () {
  const all = yield* (yield* FakeRuntimeControl).containers
  return all.map((c) => `${c.containerName} ${c.image.split("/")[1]} ${c.state}`).sort()
})

const actions = (result: { components: ReadonlyArray<{ component: string; action: string }> }) =>
  result.components.map(({ component, action }) => `${component} ${action}`)

describe("a deploy", () => {
  it.effect("makes the containers of a new service, what is depended on first", () =>
    Effect.gen(function* () {
      const control = yield* images
      const { result } = yield* deployed(shop("1"))
      assert.strictEqual(result.state, "succeeded")
      assert.deepStrictEqual(actions(result), ["web create", "worker create"])
      assert.deepStrictEqual(yield* containers, ["shop-web web:1 running", "shop-worker worker:1 running"])
      const starts = (yield* control.calls).filter((call) => call.startsWith("start"))
      assert.deepStrictEqual(starts, ["start shop-worker", "start shop-web"])
      assert.deepStrictEqual(yield* control.networks, ["mcp-shop"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("tells of each component how long each of its steps took", () =>
    Effect.gen(function* () {
      yield* images
      const { result } = yield* deployed(shop("1"))
      const web = result.components.find(({ component }) => component === "web")
      assert.deepStrictEqual(
        web?.steps.map(({ step }) => step),
        ["create", "start", "ready"]
      )
      // Ready is here: still up after `settle`, a second when nothing else is said.
      assert.isAtLeast(web?.steps.at(-1)?.durationMs ?? 0, 1_000)
    }).pipe(Effect.provide(node()))
  )

  it.effect("labels each container with its owner, so that it is known again without a name", () =>
    Effect.gen(function* () {
      const control = yield* images
      const registry = yield* Registry
      const { result } = yield* deployed(shop("1"))
      const web = (yield* control.containers).find((c) => c.containerName === "shop-web")
      assert.include(web?.labels, {
        "mcp.node": "rift",
        "mcp.service": "shop",
        "mcp.component": "web",
        "mcp.generation": "1",
        "mcp.registry": registry.id,
        "mcp.deployment": result.deployment
      })
      assert.include(web?.labels["mcp.definition"], "localhost/web:1")
    }).pipe(Effect.provide(node()))
  )

  it.effect("of an unchanged service touches nothing", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      const before = (yield* control.calls).length
      const { result } = yield* deployed(shop("1"))
      assert.deepStrictEqual(actions(result), ["web unchanged", "worker unchanged"])
      const since = (yield* control.calls).slice(before).map((call) => call.split(" ")[0])
      assert.notIncludeMembers(since, ["create", "start", "stop", "rename", "remove"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("replaces only what changed, and leaves nothing of the old version", () =>
    Effect.gen(function* () {
      yield* images
      yield* deployed(shop("1"))
      const spec = shop("1", {
        components: [
          { name: "web", image: "localhost/web:2", depends_on: ["worker"], ports: ["127.0.0.1:8080:80"] },
          { name: "worker", image: "localhost/worker:1" }
        ]
      })
      const { result } = yield* deployed(spec)
      assert.deepStrictEqual(actions(result), ["web replace", "worker unchanged"])
      assert.deepStrictEqual(yield* containers, ["shop-web web:2 running", "shop-worker worker:1 running"])
      const [web] = yield* (yield* Registry).components("shop")
      assert.strictEqual(web?.generation, 2)
    }).pipe(Effect.provide(node()))
  )

  it.effect("replaces a component whose image changed under its name", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      yield* control.addImage("localhost/web:1")
      const { result } = yield* deployed(shop("1"))
      assert.deepStrictEqual(actions(result), ["web replace", "worker unchanged"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("goes back whole when one new container ends: the old ones run again, and the reason is told", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      yield* control.addImage("localhost/web:2", { exits: { afterMs: 200, code: 3 }, logs: ["cannot read config"] })
      const before = (yield* control.containers).map((c) => c.id).sort()
      const { result, events } = yield* deployed(shop("2"))
      assert.strictEqual(result.state, "rolled_back")
      assert.include(result.failure, {
        component: "web",
        reason: "EXITED_3",
        message: "web did not become ready: it ended with exit code 3"
      })
      assert.deepStrictEqual(result.failure?.lastLogs, ["cannot read config"])
      assert.deepStrictEqual(yield* containers, ["shop-web web:1 running", "shop-worker worker:1 running"])
      assert.deepStrictEqual((yield* control.containers).map((c) => c.id).sort(), before)
      assert.strictEqual(events.at(-1)?._tag, "Result")
      const plan = yield* planDeploy({ spec: shop("1"), components: [], force: false })
      assert.deepStrictEqual(
        plan.components.map((c) => c.action),
        ["unchanged", "unchanged"]
      )
    }).pipe(Effect.provide(node()))
  )

  it.effect("leaves nothing behind when a new service does not become ready", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* control.addImage("localhost/web:1", { exits: { afterMs: 200, code: 1 } })
      const { result } = yield* deployed(shop("1"))
      assert.strictEqual(result.state, "rolled_back")
      assert.deepStrictEqual(yield* containers, [])
      assert.deepStrictEqual(yield* (yield* Registry).services, [])
    }).pipe(Effect.provide(node()))
  )

  it.effect("goes back when a health check never passes, and names what it answered", () =>
    Effect.gen(function* () {
      const spec = specOf({
        name: "shop",
        components: [
          {
            name: "web",
            image: "localhost/web:1",
            ports: ["127.0.0.1:8080:80"],
            health: { http: "/", port: 80, interval: "1s", retries: 2, start_period: "2s" }
          }
        ]
      })
      yield* images
      const { result } = yield* deployed(spec)
      assert.include(result.failure, {
        reason: "PROBE_STATUS_503",
        message: "web did not become ready: its health check failed 2 times in a row, last with: HTTP 503"
      })
    }).pipe(Effect.provide(node(() => ({ healthy: false, detail: "HTTP 503" }))))
  )

  it.effect("takes a job that ends with 0 as ready, and starts what depends on it", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* control.addImage("localhost/migrate:1", { exits: { afterMs: 500, code: 0 } })
      const spec = specOf({
        name: "shop",
        components: [
          { name: "migrate", image: "localhost/migrate:1", restart: "no", settle: "5s" },
          { name: "web", image: "localhost/web:1", depends_on: ["migrate"] }
        ]
      })
      const { result } = yield* deployed(spec)
      assert.strictEqual(result.state, "succeeded")
      assert.deepStrictEqual(yield* containers, ["shop-migrate migrate:1 exited", "shop-web web:1 running"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("pulls what is missing before it stops anything, and fails untouched when it cannot", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      const error = yield* Effect.flip(
        Effect.flatMap(Effect.fork(deployed(shop("3"))), (fiber) => Effect.zipRight(passTime(fiber), Fiber.join(fiber)))
      )
      assert.strictEqual(error._tag, "PreflightFailed")
      // Both images are missing, and both are told at once.
      assert.include(error.message, "localhost/web:3")
      assert.include(error.message, "localhost/worker:3")
      assert.deepStrictEqual(yield* containers, ["shop-web web:1 running", "shop-worker worker:1 running"])
      yield* control.addRemoteImage("localhost/web:3")
      yield* control.addRemoteImage("localhost/worker:3")
      const { result } = yield* deployed(shop("3"))
      assert.strictEqual(result.state, "succeeded")
    }).pipe(Effect.provide(node()))
  )

  it.effect("refuses a name under which somebody else's container stands, and leaves that alone", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* control.addStranger("shop-web")
      const error = yield* Effect.flip(deployed(shop("1")))
      assert.strictEqual(error._tag, "NameTaken")
      assert.deepStrictEqual(yield* containers, ["shop-web undefined running"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("of some components is refused when these need others that are not deployed yet", () =>
    Effect.gen(function* () {
      yield* images
      const error = yield* Effect.flip(deploy({ ...asked(shop("1")), components: ["web"] }, () => Effect.void))
      assert.strictEqual(
        error.message,
        "1 problem: web.depends_on.0: there is no component worker; there are web, with what is deployed so far; deploy the whole service"
      )
      assert.deepStrictEqual(yield* containers, [])
    }).pipe(Effect.provide(node()))
  )

  it.effect("with active = false stops what runs and keeps the spec", () =>
    Effect.gen(function* () {
      yield* images
      yield* deployed(shop("1"))
      const { result } = yield* deployed(shop("1", { active: false }))
      assert.deepStrictEqual(actions(result), ["web stop", "worker stop"])
      assert.deepStrictEqual(yield* containers, ["shop-web web:1 exited", "shop-worker worker:1 exited"])
      const row = Option.getOrThrow(yield* (yield* Registry).service("shop"))
      assert.strictEqual(row.desired, "stopped")
      assert.deepStrictEqual(
        (yield* live("shop")).map((c) => c.observed),
        ["stopped", "stopped"]
      )
    }).pipe(Effect.provide(node()))
  )

  it.effect("is refused while a secret that it names is not set", () =>
    Effect.gen(function* () {
      yield* images
      const spec = specOf({
        name: "shop",
        components: [{ name: "web", image: "localhost/web:1", secrets: ["db"] }]
      })
      const error = yield* Effect.flip(deployed(spec))
      assert.strictEqual(error.message, "secret db of shop is not set, and web needs it")
    }).pipe(Effect.provide(node()))
  )

  it.effect("without waiting answers once all is started, and still goes back", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      yield* control.addImage("localhost/web:2", { exits: { afterMs: 500, code: 1 } })
      const { events, result } = yield* deployed(shop("2"), { noWait: true })
      const states = events.flatMap((event) => (event._tag === "Result" ? [event.result.state] : []))
      assert.deepStrictEqual(states, ["starting", "rolled_back"])
      assert.strictEqual(result.state, "rolled_back")
    }).pipe(Effect.provide(node()))
  )

  it.effect("runs one at a time on a service, and tells a second caller who is at it", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* control.setLatency("create", 5_000)
      const first = yield* Effect.fork(deploy(asked(shop("1")), () => Effect.void))
      yield* until(control.calls, (calls) => calls.some((call) => call.startsWith("create")))
      const error = yield* Effect.flip(deploy(asked(shop("2")), () => Effect.void))
      assert.strictEqual(error.message, "a deploy of shop has been under way since 1970-01-01T00:00:00.000Z")
      yield* passTime(first)
      assert.strictEqual((yield* Fiber.join(first)).state, "succeeded")
    }).pipe(Effect.provide(node()))
  )
})

describe("a deploy that was cut off", () => {
  it.effect("is brought back from its rows and labels alone", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      // The agent dies while the new containers start: the fiber is interrupted and nothing cleans up.
      yield* control.setLatency("start", 5_000)
      const fiber = yield* Effect.fork(deployed(shop("2")))
      yield* until(control.calls, (calls) => calls.filter((call) => call.startsWith("start")).length > 2)
      yield* Fiber.interrupt(fiber)
      yield* control.setLatency("start", 0)
      assert.include(yield* containers, "shop-web.prev web:1 exited")
      yield* recover("shop")
      assert.deepStrictEqual(yield* containers, ["shop-web web:1 running", "shop-worker worker:1 running"])
      assert.deepStrictEqual(yield* (yield* Registry).unfinishedDeployments, [])
    }).pipe(Effect.provide(node()))
  )

  it.effect("is brought back as soon as podman answers again", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      yield* control.failNext(
        "start",
        new RuntimeRefused({ operation: "start", subject: "shop-worker", why: "no such file" })
      )
      yield* control.failNext("remove", new RuntimeUnavailable({ operation: "remove", why: "connection refused" }), 5)
      const { result } = yield* deployed(shop("2"))
      assert.strictEqual(result.state, "rolled_back")
      assert.deepStrictEqual(yield* containers, ["shop-web web:1 running", "shop-worker worker:1 running"])
    }).pipe(Effect.provide(node()))
  )
})
