import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { FakeProxyControl } from "../../src/layers/FakeProxy.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { difference, history } from "../../src/programs/history.ts"
import { type RollbackTarget, rollback } from "../../src/programs/rollback.ts"
import { HostPorts } from "../../src/services/HostPorts.ts"
import { ProxyRefused, ProxyUnavailable } from "../../src/services/Proxy.ts"
import { Registry } from "../../src/services/Registry.ts"
import { PortInUse } from "../../src/services/RuntimeError.ts"
import { deployed, node, passTime, shop, specOf } from "./support.ts"

const images = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  for (const name of ["web", "worker"]) {
    for (const version of ["1", "2"]) yield* control.addImage(`localhost/${name}:${version}`)
  }
  return control
})

const back = (to?: string) =>
  Effect.gen(function* () {
    const targets: Array<RollbackTarget> = []
    const fiber = yield* Effect.fork(
      rollback(
        { service: "shop", to, noWait: false, wait: false, actor: "eve" },
        () => Effect.void,
        (target) => Effect.sync(() => void targets.push(target))
      )
    )
    yield* passTime(fiber)
    return { result: yield* fiber, target: targets[0] }
  })

const running = Effect.gen(function* () {
  const all = yield* (yield* FakeRuntimeControl).containers
  return all.map((c) => `${c.containerName} ${c.image.split("/")[1]} ${c.state}`).sort()
})

const routed = (version: string, change: Record<string, unknown> = {}) =>
  specOf({
    name: "shop",
    components: [
      { name: "web", image: `localhost/web:${version}`, routes: [{ port: 443, hostname: "shop.example" }], ...change }
    ]
  })

describe("a rollback", () => {
  it.effect("brings the revision before back, by the images that it had, with the image registry away", () =>
    Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      // The name moves on: only the id still means the old image.
      yield* control.addImage("localhost/web:1")
      yield* deployed(shop("2"))
      const { result, target } = yield* back()
      assert.strictEqual(result.state, "succeeded")
      assert.isTrue(target?.onlyImages)
      assert.deepStrictEqual(yield* running, ["shop-web web:1 running", "shop-worker worker:1 running"])
      const [first] = (yield* control.images).slice(0, 1)
      const web = (yield* control.containers).find((c) => c.containerName === "shop-web")
      assert.strictEqual(web?.imageId, first)
      assert.notInclude((yield* control.calls).join(), "pull")
    }).pipe(Effect.provide(node()))
  )

  it.effect("pins the service from the definition that was rolled back from, until that changes or it is named", () =>
    Effect.gen(function* () {
      yield* images
      yield* deployed(shop("1"))
      yield* deployed(shop("2"))
      yield* back()
      assert.strictEqual((yield* deployed(shop("2"), { respectPin: true })).result.state, "pinned")
      assert.deepStrictEqual(yield* running, ["shop-web web:1 running", "shop-worker worker:1 running"])
      assert.isTrue((yield* history("shop", 1))[0]?.pinned)
      assert.strictEqual((yield* deployed(shop("2"))).result.state, "succeeded")
      assert.strictEqual(Option.getOrThrow(yield* (yield* Registry).service("shop")).pinnedFrom, undefined)
    }).pipe(Effect.provide(node()))
  )

  it.effect("to a named deployment; one that is not a revision is refused", () =>
    Effect.gen(function* () {
      yield* images
      const { result } = yield* deployed(shop("1"))
      yield* deployed(shop("2"))
      const error = yield* Effect.flip(back("01NOSUCH"))
      assert.strictEqual(error.message, "shop has no revision 01NOSUCH")
      assert.strictEqual((yield* back(result.deployment)).result.state, "succeeded")
      const rows = yield* history("shop", 10)
      assert.deepStrictEqual(
        rows.map(({ current, row }) => [row.kind, row.actor, row.rollbackTo ?? "", current]),
        [
          ["rollback", "eve", result.deployment, true],
          ["deploy", "ada", "", false],
          ["deploy", "ada", "", false]
        ]
      )
    }).pipe(Effect.provide(node()))
  )

  it.effect("without an earlier revision is refused", () =>
    Effect.gen(function* () {
      yield* images
      yield* deployed(shop("1"))
      assert.strictEqual((yield* Effect.flip(back()))._tag, "NoRevision")
    }).pipe(Effect.provide(node()))
  )

  it.effect("history tells what differs between two revisions, and never a value of the environment", () =>
    Effect.gen(function* () {
      yield* images
      const first = yield* deployed(shop("1"))
      const second = yield* deployed(
        specOf({ name: "shop", components: [{ name: "web", image: "localhost/web:2", env: { TOKEN: "hunter2" } }] })
      )
      const diff = yield* difference("shop", first.result.deployment, second.result.deployment)
      assert.deepStrictEqual(
        diff.map((c) => `${c.component} ${c.action}`),
        ["web replace", "worker orphan"]
      )
      assert.notInclude(JSON.stringify(diff), "hunter2")
    }).pipe(Effect.provide(node()))
  )
})

describe("a start-first replacement", () => {
  it.effect("starts the new container beside the old one, switches the route, then drains and stops the old one", () =>
    Effect.gen(function* () {
      const control = yield* images
      const proxy = yield* FakeProxyControl
      yield* deployed(routed("1"))
      const before = yield* proxy.routes
      const calls = (yield* control.calls).length
      yield* deployed(routed("2"))
      const since = (yield* control.calls).slice(calls).map((call) => call.split(" ")[0])
      assert.isBelow(since.indexOf("start"), since.indexOf("stop"))
      assert.lengthOf(yield* proxy.routes, 1)
      assert.notDeepEqual(yield* proxy.routes, before)
      assert.lengthOf(yield* (yield* Registry).ports("shop"), 1)
    }).pipe(Effect.provide(node()))
  )

  it.effect("goes back when the proxy refuses the routes: nothing of the old version was stopped", () =>
    Effect.gen(function* () {
      yield* images
      const proxy = yield* FakeProxyControl
      yield* deployed(routed("1"))
      const before = yield* proxy.routes
      yield* proxy.failNext(new ProxyRefused({ driver: "fake", why: "no such listener" }))
      const { result } = yield* deployed(routed("2"))
      assert.strictEqual(result.state, "rolled_back")
      assert.strictEqual(result.failure?.reason, "PROXY_REFUSED")
      assert.deepStrictEqual(yield* proxy.routes, before)
      assert.deepStrictEqual(yield* running, ["shop-web web:1 running"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("is tried again for as long as the proxy is away, and told", () =>
    Effect.gen(function* () {
      yield* images
      const proxy = yield* FakeProxyControl
      yield* deployed(routed("1"))
      yield* proxy.failNext(new ProxyUnavailable({ driver: "fake", why: "connection refused" }), 3)
      const { events, result } = yield* deployed(routed("2"))
      assert.strictEqual(result.state, "succeeded")
      assert.lengthOf(
        events.filter((event) => event._tag === "Step" && event.state === "retrying"),
        3
      )
      assert.deepStrictEqual(yield* running, ["shop-web web:2 running"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("leaves the old one its requests, at most for drain_timeout", () =>
    Effect.gen(function* () {
      yield* images
      const proxy = yield* FakeProxyControl
      yield* deployed(routed("1", { drain_timeout: "7s" }))
      yield* proxy.setInFlight(() => 1)
      const { events } = yield* deployed(routed("2", { drain_timeout: "7s" }))
      const drained = events.find((e) => e._tag === "Step" && e.step === "drain" && e.state === "done")
      assert.isTrue(drained?._tag === "Step" && drained.durationMs >= 7_000 && drained.durationMs < 8_000)
    }).pipe(Effect.provide(node()))
  )
})

describe("a route's host port", () => {
  it.effect("reaches the program as $PORT, is mapped on loopback, and is not one that is taken", () => {
    const tried: Array<number> = []
    // The first that is tried is somebody else's.
    const busy = Layer.succeed(HostPorts, { isFree: ({ port }) => Effect.sync(() => tried.push(port) > 1) })
    return Effect.gen(function* () {
      const control = yield* images
      yield* deployed(routed("1"))
      const [row] = yield* (yield* Registry).ports("shop")
      const made = yield* control.specOf("shop-web")
      assert.strictEqual(made?.env.PORT, String(row?.port))
      assert.deepStrictEqual(made?.ports, [`127.0.0.1:${row?.port}:${row?.port}`])
      assert.notStrictEqual(row?.port, tried[0])
    }).pipe(Effect.provide(Layer.provideMerge(busy, node())))
  })

  it.effect("taken by somebody between the check and the start is given up for another one", () => {
    let first: number | undefined
    const host = Layer.succeed(HostPorts, {
      isFree: ({ port }) =>
        Effect.sync(() => {
          // Free when it is chosen, taken when the start has failed.
          const again = port === first
          first ??= port
          return !again
        })
    })
    return Effect.gen(function* () {
      const control = yield* images
      yield* control.failNext("start", new PortInUse({ container: "shop-web", why: "address already in use" }))
      const { result } = yield* deployed(routed("1"))
      assert.strictEqual(result.state, "succeeded")
      const ports = yield* (yield* Registry).ports("shop")
      assert.lengthOf(ports, 1)
      assert.notStrictEqual(ports[0]?.port, first)
      assert.lengthOf(yield* control.containers, 1)
    }).pipe(Effect.provide(Layer.provideMerge(host, node())))
  })
})
