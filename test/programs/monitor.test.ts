import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Scope, TestClock } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { ContainerHealth } from "../../src/programs/ContainerHealth.ts"
import { deploy } from "../../src/programs/deploy.ts"
import { start, stop, undeploy } from "../../src/programs/lifecycle.ts"
import * as MonitorProgram from "../../src/programs/monitor/monitor.ts"
import { RuntimeFeed } from "../../src/programs/RuntimeFeed.ts"
import { statusOf } from "../../src/programs/report.ts"
import { superviseRestarts } from "../../src/programs/restarts.ts"
import { why } from "../../src/programs/why.ts"
import type { Alert } from "../../src/services/Alerter.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Monitor } from "../../src/services/Monitor.ts"
import { Registry } from "../../src/services/Registry.ts"
import { RegistryUnavailable } from "../../src/services/RegistryError.ts"
import { PortInUse } from "../../src/services/RuntimeError.ts"
import { asked, deployed, node, passTime, specOf, type Watching } from "./support.ts"

const web = (change: Record<string, unknown> = {}) =>
  specOf({ name: "shop", components: [{ name: "web", image: "localhost/web:1", ...change }] })

/** Lets the monitor see what has happened. */
const settle = Effect.repeatN(Effect.yieldNow(), 500)
const pass = (time: `${number} ${"millis" | "seconds" | "minutes"}`) =>
  Effect.zipRight(Effect.zipRight(settle, TestClock.adjust(time)), settle)

const told = (alerts: ReadonlyArray<Alert>) => alerts.map(({ kind }) => kind)
const states = Effect.flatMap(Registry, (registry) =>
  Effect.map(registry.events({ service: "shop", component: "web", since: 0, after: 0, limit: 100 }), (all) =>
    all.flatMap(({ from, kind, message, to }) => (kind === "observed" ? [`${from} -> ${to}: ${message}`] : []))
  )
)
const events = (kind: string) =>
  Effect.flatMap(Registry, (registry) =>
    Effect.map(registry.events({ since: 0, after: 0, limit: 1000 }), (all) =>
      all.filter((event) => event.kind === kind).map(({ component, to }) => `${component} ${to}`)
    )
  )
const status = Effect.map(statusOf("shop"), ([shop]) => {
  const [only] = shop?.components ?? []
  return `${only?.observed} ${only?.drift.join(",")}`
})

/** A watched node on which `shop` with its one component runs. */
const watched = <A, E, R>(
  body: (alerts: ReadonlyArray<Alert>, control: FakeRuntimeControl["Type"]) => Effect.Effect<A, E, R>,
  { component = {}, ...watching }: Watching & { readonly component?: Record<string, unknown> } = {}
) =>
  Effect.suspend(() => {
    const alerts: Array<Alert> = []
    return Effect.gen(function* () {
      const control = yield* FakeRuntimeControl
      yield* control.addImage("localhost/web:1")
      yield* deployed(web(component))
      yield* (yield* Monitor).watch
      yield* settle
      return yield* body(alerts, control)
    }).pipe(Effect.scoped, Effect.provide(node(undefined, undefined, { ...watching, alerts })))
  })

describe("the monitor knows within moments", () => {
  it.effect("that a container ended, with its exit code, and tells when it has lasted", () =>
    watched((alerts, control) =>
      Effect.gen(function* () {
        yield* control.kill("shop-web", 3)
        yield* settle
        assert.deepStrictEqual((yield* states).slice(-1), ["running -> exited: exit code 3"])
        assert.strictEqual(yield* status, "exited stopped")
        assert.deepStrictEqual(alerts, [])
        yield* pass("10 seconds")
        assert.lengthOf(alerts, 1)
        assert.deepInclude(alerts[0], {
          node: "rift",
          service: "shop",
          component: "web",
          kind: "stopped",
          from: "running",
          to: "exited",
          message: "shop/web should run, and has ended with exit code 3"
        })
        assert.deepStrictEqual(yield* events("alert"), ["web stopped"])
        yield* (yield* ContainerRuntime).start("shop-web")
        yield* settle
        assert.deepStrictEqual(told(alerts), ["stopped", "recovered"])
        assert.strictEqual(yield* status, "running ")
      })
    )
  )

  it.effect("that one was removed by hand, renamed by hand, or started though it should be stopped", () =>
    watched((alerts) =>
      Effect.gen(function* () {
        const runtime = yield* ContainerRuntime
        yield* runtime.rename("shop-web", "mine")
        yield* settle
        assert.strictEqual(yield* status, "running spec")
        assert.deepStrictEqual(yield* events("drift"), ["web spec"])
        yield* runtime.rename("mine", "shop-web")
        yield* settle
        assert.strictEqual(yield* status, "running ")
        assert.deepStrictEqual(yield* events("recovered"), ["web spec"])

        yield* stop({ service: "shop", component: undefined })
        yield* settle
        assert.strictEqual(yield* status, "stopped ")
        yield* runtime.start("shop-web")
        yield* settle
        assert.strictEqual(yield* status, "running running")
        yield* pass("10 seconds")
        assert.deepStrictEqual(told(alerts), ["running"])
        yield* start({ service: "shop", component: undefined })
        yield* settle
        assert.deepStrictEqual(told(alerts), ["running", "recovered"])

        yield* runtime.remove("shop-web")
        yield* settle
        assert.strictEqual(yield* status, "removed missing")
        assert.deepStrictEqual((yield* states).slice(-1), ["running -> removed: no act of MCP removed it"])
      })
    )
  )

  it.effect("that a component is unhealthy, and is healthy again", () =>
    watched((alerts) =>
      Effect.gen(function* () {
        const health = yield* ContainerHealth
        const [container] = yield* (yield* ContainerRuntime).list
        yield* health.set(
          container?.id ?? "",
          { state: "unhealthy", failures: 3, detail: "HTTP 503" },
          { healthy: false, detail: "HTTP 503" }
        )
        yield* settle
        assert.deepStrictEqual((yield* states).slice(-1), ["running -> unhealthy: HTTP 503"])
        yield* pass("10 seconds")
        yield* health.set(
          container?.id ?? "",
          { state: "healthy", failures: 0, detail: "" },
          { healthy: true, detail: "" }
        )
        yield* settle
        assert.deepStrictEqual(told(alerts), ["unhealthy", "recovered"])
      })
    )
  )

  it.effect("what a lost event left, by the next full scan", () =>
    watched((_, control) =>
      Effect.gen(function* () {
        yield* control.setDown(true)
        yield* control.kill("shop-web", 1)
        yield* control.setDown(false)
        // The stream is followed again, and the gap is made good by a scan.
        yield* pass("300 millis")
        assert.strictEqual((yield* states).at(-1), "running -> exited: exit code 1")
      })
    )
  )
})

describe("no drift is", () => {
  it.effect("a deployment in progress, however long it takes", () =>
    watched((alerts, control) =>
      Effect.gen(function* () {
        yield* control.addImage("localhost/web:2")
        // Stop-first: for 30 s nothing of it runs.
        yield* control.setLatency("start", 30_000)
        const change = web({ image: "localhost/web:2", update_order: "stop-first" })
        const fiber = yield* Effect.fork(deploy(asked(change), () => Effect.void))
        yield* passTime(fiber)
        yield* pass("1 minutes")
        assert.deepStrictEqual(alerts, [])
        assert.strictEqual(yield* status, "running ")
        assert.deepStrictEqual(yield* events("drift"), [])
      })
    )
  )

  it.effect("what was stopped or undeployed on purpose", () =>
    watched((alerts) =>
      Effect.gen(function* () {
        yield* stop({ service: "shop", component: undefined })
        yield* pass("2 minutes")
        yield* undeploy("shop")
        yield* pass("2 minutes")
        assert.deepStrictEqual(alerts, [])
      })
    )
  )

  it.effect("a crash that its restart policy makes good before it has lasted; one that goes on is one alert", () =>
    watched(
      (alerts, control) =>
        Effect.gen(function* () {
          yield* superviseRestarts
          yield* settle
          yield* control.kill("shop-web", 1)
          yield* pass("3 seconds")
          yield* pass("2 minutes")
          assert.deepStrictEqual(alerts, [])
          yield* control.kill("shop-web", 1)
          yield* pass("3 seconds")
          yield* control.kill("shop-web", 1)
          yield* pass("3 seconds")
          assert.deepStrictEqual(told(alerts), ["flapping"])
          assert.strictEqual(yield* status, "running flapping")
          for (let i = 0; i < 2; i++) {
            yield* control.kill("shop-web", 1)
            yield* pass("1 minutes")
          }
          assert.deepStrictEqual(told(alerts), ["flapping"])
          yield* pass("10 minutes")
          assert.deepStrictEqual(told(alerts), ["flapping", "recovered"])
        }),
      { flapWindow: 300_000 }
    )
  )
})

describe("alerts", () => {
  it.effect(
    "of a target are silent in its maintenance window, which status shows; what is still so is told after it",
    () =>
      watched((alerts, control) =>
        Effect.gen(function* () {
          const monitor = yield* Monitor
          const until = yield* monitor.silence({ service: "shop", component: undefined }, 3_600_000, "ada")
          const [shop] = yield* statusOf("shop")
          assert.strictEqual(shop?.components[0]?.silencedUntil, Option.getOrThrow(until))
          yield* control.kill("shop-web", 1)
          yield* pass("59 minutes")
          assert.deepStrictEqual(alerts, [])
          yield* pass("2 minutes")
          assert.deepStrictEqual(told(alerts), ["stopped"])
        })
      )
  )

  it.effect("come at once when the window is ended early", () =>
    watched((alerts, control) =>
      Effect.gen(function* () {
        const monitor = yield* Monitor
        yield* monitor.silence({ service: "shop", component: "web" }, 3_600_000, "ada")
        yield* control.kill("shop-web", 1)
        yield* pass("1 minutes")
        yield* monitor.silence({ service: "shop", component: "web" }, 0, "ada")
        yield* settle
        assert.deepStrictEqual(told(alerts), ["stopped"])
      })
    )
  )

  it.effect("are not sent again by an agent that was started again, and what is over by then is told", () => {
    const alerts: Array<Alert> = []
    const first: Array<Alert> = []
    return Effect.gen(function* () {
      const control = yield* FakeRuntimeControl
      yield* control.addImage("localhost/web:1")
      yield* deployed(web())
      // Two agents one after another on the same registry.
      const agent = (to: Array<Alert>) =>
        Effect.gen(function* () {
          yield* (yield* Monitor).watch
          to.push(...alerts.splice(0))
        })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* agent([])
          yield* control.kill("shop-web", 1)
          yield* pass("20 seconds")
          first.push(...alerts.splice(0))
        })
      )
      const settings = { holdFor: 10_000, cooldown: 900_000, flapThreshold: 3, flapWindow: 600_000, heal: false }
      const scope = yield* Scope.make()
      const again = Layer.provideMerge(MonitorProgram.layer(settings), RuntimeFeed.Default({}))
      const context = yield* Layer.buildWithScope(again, scope)
      yield* Effect.provide(
        Effect.flatMap(Monitor, ({ watch }) => watch),
        context
      )
      yield* pass("1 minutes")
      assert.deepStrictEqual([told(first), told(alerts)], [["stopped"], []])
      yield* (yield* ContainerRuntime).start("shop-web")
      yield* pass("1 minutes")
      assert.deepStrictEqual(told(alerts), ["recovered"])
    }).pipe(Effect.scoped, Effect.provide(node(undefined, undefined, { alerts })))
  })
})

it.effect("with the registry full, alerts are sent, status answers, and what was seen is recorded afterwards", () => {
  const alerts: Array<Alert> = []
  return Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    yield* control.addImage("localhost/web:1")
    yield* deployed(web())
    const registry = yield* Registry
    let full = false
    const error = new RegistryUnavailable({ operation: "written", why: "database or disk is full" })
    const unlessFull = <A, E, R>(write: Effect.Effect<A, E, R>) =>
      Effect.suspend((): Effect.Effect<A, E | RegistryUnavailable, R> => (full ? Effect.fail(error) : write))
    const filling: Registry["Type"] = {
      ...registry,
      observe: (seen) => unlessFull(registry.observe(seen)),
      recordEvent: (event) => unlessFull(registry.recordEvent(event)),
      putWatched: (...watched) => unlessFull(registry.putWatched(...watched))
    }
    const settings = { holdFor: 10_000, cooldown: 900_000, flapThreshold: 3, flapWindow: 600_000, heal: false }
    const watching = Layer.provideMerge(MonitorProgram.layer(settings), RuntimeFeed.Default({}))
    yield* Effect.gen(function* () {
      yield* (yield* Monitor).watch
      yield* settle
      full = true
      yield* control.kill("shop-web", 3)
      yield* pass("10 seconds")
      assert.deepStrictEqual(told(alerts), ["stopped"])
      assert.strictEqual(yield* status, "exited stopped")
      yield* pass("1 minutes")
      assert.deepStrictEqual(told(alerts), ["stopped"], "it is told once")
      full = false
      yield* pass("1 minutes")
      assert.strictEqual((yield* states).at(-1), "running -> exited: exit code 3")
    }).pipe(Effect.provide(Layer.provideMerge(watching, Layer.succeed(Registry, filling))))
  }).pipe(Effect.scoped, Effect.provide(node(undefined, undefined, { alerts })))
})

describe("with the runtime out of reach", () => {
  it.effect("all is unknown, one alert says so, and none follows from it; afterwards all is as before", () =>
    watched((alerts, control) =>
      Effect.gen(function* () {
        yield* control.setDown(true)
        yield* pass("2 seconds")
        assert.deepStrictEqual(alerts, [])
        for (let i = 0; i < 30; i++) yield* pass("1 seconds")
        assert.deepStrictEqual(told(alerts), ["runtime"])
        assert.strictEqual(yield* status, "unknown ")
        const asked = (yield* control.calls).length
        yield* status
        assert.lengthOf(yield* control.calls, asked, "nobody waits for an answer that does not come")
        yield* pass("30 minutes")
        assert.deepStrictEqual(told(alerts), ["runtime"])
        yield* control.setDown(false)
        yield* pass("30 seconds")
        assert.deepStrictEqual(told(alerts), ["runtime", "recovered"])
        assert.strictEqual(yield* status, "running ")
        assert.deepStrictEqual(yield* events("runtime"), [" away", " answers"])
        assert.deepStrictEqual(
          (yield* states).filter((text) => text.includes("unknown")),
          []
        )
      })
    )
  )

  it.effect("for less than a few seconds, as when it is restarted, nothing is said", () =>
    watched((alerts, control) =>
      Effect.gen(function* () {
        yield* control.setDown(true)
        yield* pass("3 seconds")
        yield* control.setDown(false)
        yield* pass("1 minutes")
        assert.deepStrictEqual(alerts, [])
        assert.deepStrictEqual(yield* events("runtime"), [])
      })
    )
  )
})

describe("healing", () => {
  it.effect("is off by default: what was removed by hand stays away", () =>
    watched(() =>
      Effect.gen(function* () {
        yield* (yield* ContainerRuntime).remove("shop-web")
        yield* pass("2 minutes")
        assert.strictEqual(yield* status, "removed missing")
      })
    )
  )

  it.effect("makes again what was removed by hand, and stops what should not run", () =>
    watched(
      (alerts) =>
        Effect.gen(function* () {
          const runtime = yield* ContainerRuntime
          yield* runtime.remove("shop-web")
          yield* pass("2 seconds")
          assert.strictEqual(yield* status, "running ")
          assert.deepStrictEqual(yield* events("heal"), ["web running"])
          yield* stop({ service: "shop", component: undefined })
          yield* runtime.start("shop-web")
          yield* pass("2 seconds")
          assert.strictEqual(yield* status, "stopped ")
          assert.deepStrictEqual(alerts, [])
        }),
      { heal: true }
    )
  )

  it.effect("says why it failed; a container that was made and not started is started under its restart policy", () =>
    watched(
      (_, control) =>
        Effect.gen(function* () {
          yield* superviseRestarts
          const runtime = yield* ContainerRuntime
          const taken = new PortInUse({ container: "shop-web", why: "the port 127.0.0.1:8080 is in use on the node" })
          yield* control.failNext("start", taken, 2)
          yield* runtime.remove("shop-web")
          yield* pass("1 seconds")
          assert.deepStrictEqual(yield* events("heal"), ["web failed"])
          const [cause] = yield* why({ service: "shop", component: "web" })
          assert.include(cause?.cause, "port_taken")
          yield* pass("1 seconds")
          assert.deepStrictEqual(yield* events("restarted"), ["web failed"])
          yield* pass("3 seconds")
          assert.strictEqual(yield* status, "running ")
          assert.deepStrictEqual(yield* events("restarted"), ["web failed", "web running"])
          assert.deepStrictEqual(
            (yield* states).filter((text) => text.includes("-> removed")),
            ["running -> removed: no act of MCP removed it"]
          )
        }),
      { heal: true }
    )
  )

  it.effect(
    "waits longer each time, gives up with an alert once it flaps, and begins anew after an operator's act",
    () =>
      watched(
        (alerts, control) =>
          Effect.gen(function* () {
            const runtime = yield* ContainerRuntime
            const healed = Effect.map(events("heal"), (all) => all.length)
            yield* runtime.remove("shop-web")
            yield* pass("1 seconds")
            assert.strictEqual(yield* healed, 1)
            yield* runtime.remove("shop-web")
            yield* pass("1 seconds")
            assert.strictEqual(yield* healed, 1)
            yield* pass("1 seconds")
            assert.strictEqual(yield* healed, 2)
            yield* runtime.remove("shop-web")
            yield* pass("5 minutes")
            assert.strictEqual(yield* healed, 2)
            assert.deepStrictEqual(told(alerts), ["flapping", "gave_up"])
            yield* passTime(yield* Effect.fork(start({ service: "shop", component: undefined })))
            yield* settle
            yield* runtime.remove("shop-web")
            yield* pass("2 seconds")
            assert.strictEqual(yield* healed, 3)
            assert.lengthOf(yield* control.containers, 1)
          }),
        { heal: true }
      )
  )
})

const many = (n: number) =>
  specOf({
    name: "shop",
    components: Array.from({ length: n }, (_, i) => ({
      name: `c${String(i).padStart(3, "0")}`,
      image: "localhost/web:1",
      settle: "0s"
    }))
  })

it.effect("a full scan is one list of containers and one transaction, and what changed meanwhile is in it", () =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    const registry = yield* Registry
    yield* control.addImage("localhost/web:1")
    yield* deployed(many(100))
    yield* (yield* Monitor).watch
    yield* settle
    yield* control.setDown(true)
    for (let i = 0; i < 100; i += 2) yield* control.kill(`shop-c${String(i).padStart(3, "0")}`, 1)
    yield* settle
    const before = (yield* control.calls).length
    yield* control.setDown(false)
    yield* pass("1 seconds")
    assert.deepStrictEqual(
      (yield* control.calls).slice(before).filter((call) => call !== "events"),
      ["list"]
    )
    const all = yield* registry.events({ service: "shop", since: 0, after: 0, limit: 1000 })
    const exited = all.filter(({ to }) => to === "exited")
    assert.lengthOf(exited, 50)
    assert.strictEqual(new Set(exited.map(({ at }) => at)).size, 1)
  }).pipe(Effect.scoped, Effect.provide(node()))
)
