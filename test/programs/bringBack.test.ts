import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, TestClock } from "effect"
import { FakeProxyControl } from "../../src/layers/FakeProxy.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { bringBack } from "../../src/programs/bringBack.ts"
import { stop } from "../../src/programs/lifecycle.ts"
import { live } from "../../src/programs/report.ts"
import { superviseRestarts } from "../../src/programs/restarts.ts"
import { ServiceLocks } from "../../src/programs/ServiceLocks.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"
import { PortInUse } from "../../src/services/RuntimeError.ts"
import { violations } from "../support/invariants.ts"
import { deployed, node, passTime, specOf } from "./support.ts"

const itself = { byHand: false, readyWithin: "60 seconds", actor: "" } as const

/** By a new agent, with the clock running past every wait. */
const back = (service = "shop", how: Partial<Parameters<typeof bringBack>[1]> = {}) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(bringBack(service, { ...itself, ...how }))
    yield* passTime(fiber)
    return (yield* fiber).map(({ component, fate }) => `${component} ${fate}`)
  }).pipe(Effect.provide(ServiceLocks.Default))

const shop = (change: Record<string, unknown> = {}) =>
  specOf({
    name: "shop",
    components: [
      {
        name: "web",
        image: "localhost/web:1",
        depends_on: ["db"],
        routes: [{ port: 443, target: 80, hostname: "shop.example" }],
        ...change
      },
      { name: "db", image: "localhost/db:1" },
      { name: "migrate", image: "localhost/job:1", restart: "no" },
      { name: "import", image: "localhost/job:1", restart: "on-failure" }
    ]
  })

const settleDown = Effect.repeatN(Effect.yieldNow(), 500)

const running = (change: Record<string, unknown> = {}) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    for (const name of ["web", "db"]) yield* control.addImage(`localhost/${name}:1`)
    yield* control.addImage("localhost/job:1", { exits: { afterMs: 2_000, code: 0 } })
    yield* deployed(shop(change))
    yield* TestClock.adjust("10 seconds")
    // The supervisor of the agent that is about to go has seen how the jobs ended.
    yield* Effect.scoped(Effect.zipRight(superviseRestarts, settleDown))
    return control
  })

const started = Effect.map(
  Effect.flatMap(FakeRuntimeControl, (control) => control.calls),
  (calls) => calls.filter((call) => call.startsWith("start "))
)
const portsNow = Effect.map(
  Effect.flatMap(Registry, (registry) => registry.ports("shop")),
  (rows) => rows.map(({ port }) => port)
)
const sound = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  assert.deepStrictEqual(yield* violations("shop", yield* control.networks), [])
})

describe("what should run is brought back", () => {
  it.effect(
    "as it was when podman has lost all containers and networks: ports, routes, order; jobs that ended rest",
    () =>
      Effect.gen(function* () {
        const control = yield* running()
        const ports = yield* portsNow
        const routes = yield* (yield* FakeProxyControl).routes
        yield* control.lose
        const before = (yield* started).length
        assert.deepStrictEqual(yield* back(), ["db made", "migrate rests", "import rests", "web made"])
        assert.deepStrictEqual((yield* started).slice(before), ["start shop-db", "start shop-web"])
        assert.deepStrictEqual(yield* portsNow, ports)
        assert.deepStrictEqual(yield* (yield* FakeProxyControl).routes, routes)
        assert.deepStrictEqual(yield* control.networks, ["mcp-shop"])
        const web = (yield* live("shop")).find(({ component }) => component === "web")
        assert.deepStrictEqual([web?.observed, web?.drift], ["running", []])
        // Said twice it changes nothing.
        const calls = (yield* started).length
        assert.deepStrictEqual(yield* back(), ["db runs", "migrate rests", "import rests", "web runs"])
        assert.strictEqual((yield* started).length, calls)
      }).pipe(Effect.provide(node()))
  )

  it.effect("after a reboot, in the same containers", () =>
    Effect.gen(function* () {
      const control = yield* running()
      const ids = (yield* control.containers).map(({ id }) => id)
      yield* control.reboot
      assert.deepStrictEqual(yield* back(), ["db started", "migrate rests", "import rests", "web started"])
      assert.deepStrictEqual(
        (yield* control.containers).map(({ id }) => id),
        ids
      )
      yield* sound
    }).pipe(Effect.provide(node()))
  )

  it.effect("after a shutdown in order, which ended all of it, and each counts as one restart", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* TestClock.adjust("2 minutes")
      for (const name of ["shop-web", "shop-db"]) yield* control.kill(name, 143)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* back(), ["db started", "migrate rests", "import rests", "web started"])
      assert.deepStrictEqual(
        (yield* live("shop")).map(({ component, restarts }) => `${component} ${restarts}`),
        ["db 1", "import 0", "migrate 0", "web 1"]
      )
      yield* sound
    }).pipe(Effect.provide(node()))
  )

  it.effect("but not what is to be stopped, nor what is being undeployed", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* stop({ service: "shop", component: "web" })
      yield* control.lose
      assert.deepStrictEqual(yield* back(), ["db made", "migrate rests", "import rests", "web stopped"])
      const registry = yield* Registry
      const row = Option.getOrThrow(yield* registry.service("shop"))
      yield* registry.putService({ ...row, undeploying: true })
      yield* control.lose
      assert.deepStrictEqual(yield* back(), [])
      assert.deepStrictEqual(yield* control.containers, [])
    }).pipe(Effect.provide(node()))
  )

  it.effect("and the restart policy's pause holds, also over a new agent; by hand it does not", () =>
    Effect.gen(function* () {
      const control = yield* running()
      const registry = yield* Registry
      const [row] = (yield* registry.components("shop")).filter(({ component }) => component === "web")
      yield* control.kill("shop-web", 1)
      yield* registry.putRestart({
        ...{ service: "shop", component: "web", containerId: row?.containerId ?? "", restarts: 5, failures: 5 },
        ...{ delayMs: 16_000, endedAt: 0, rests: false }
      })
      const before = (yield* started).length
      assert.include(yield* back(), "web waits")
      assert.include(yield* back(), "web waits")
      assert.strictEqual((yield* started).length, before)
      yield* TestClock.adjust("40 seconds")
      assert.include(yield* back(), "web started")
      yield* control.kill("shop-web", 1)
      assert.include(yield* back(), "web waits")
      assert.include(yield* back("shop", { byHand: true }), "web started")
      assert.include(
        (yield* registry.restarts).map(({ component, restarts }) => `${component} ${restarts}`),
        "web 7"
      )
    }).pipe(Effect.provide(node()))
  )

  it.effect("with its image: the very one by its id, else pulled by its digest or its name", () =>
    Effect.gen(function* () {
      const control = yield* running()
      const runtime = yield* ContainerRuntime
      const before = (yield* control.calls).length
      yield* control.lose
      yield* back()
      assert.deepStrictEqual(
        (yield* control.calls).slice(before).filter((call) => call.startsWith("pull")),
        []
      )
      yield* control.lose
      for (const id of yield* control.images) yield* runtime.removeImage(id)
      assert.deepStrictEqual(yield* back(), ["db failed", "migrate rests", "import rests", "web failed"])
      yield* control.addRemoteImage("localhost/web:1")
      yield* control.addRemoteImage("localhost/db:1")
      assert.deepStrictEqual(yield* back(), ["db made", "migrate rests", "import rests", "web made"])
      yield* sound
      assert.deepStrictEqual(
        (yield* live("shop")).map(({ component, drift, observed }) => `${component} ${observed} ${drift}`),
        ["db running ", "import exited ", "migrate exited ", "web running "]
      )
    }).pipe(Effect.provide(node()))
  )

  it.effect("with an image that was pulled, by its digest: its name may mean another by now", () =>
    Effect.gen(function* () {
      const control = yield* FakeRuntimeControl
      const runtime = yield* ContainerRuntime
      yield* control.addRemoteImage("localhost/web:1")
      const web = { name: "web", image: "localhost/web:1" }
      yield* deployed(specOf({ name: "shop", components: [web] }))
      const [step] = yield* (yield* Registry).steps((yield* (yield* Registry).revisions("shop", 1))[0]?.id ?? "")
      // A part of a deployment that leaves it alone knows no digest; the one before does.
      yield* control.addImage("localhost/db:1")
      const both = specOf({ name: "shop", components: [web, { name: "db", image: "localhost/db:1" }] })
      yield* deployed(both, { components: ["db"] })
      yield* control.lose
      for (const id of yield* control.images) yield* runtime.removeImage(id)
      yield* control.addImage("localhost/web:1")
      yield* control.addImage("localhost/db:1")
      assert.deepStrictEqual(yield* back(), ["web made", "db made"])
      assert.strictEqual(
        (yield* control.calls).filter((call) => call.startsWith("pull")).at(-1),
        `pull ${step?.imageDigest}`
      )
    }).pipe(Effect.provide(node()))
  )

  it.effect("and what cannot be started keeps nothing else down", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* control.lose
      yield* control.addStranger("shop-db")
      assert.deepStrictEqual(yield* back(), ["db failed", "migrate rests", "import rests", "web made"])
      assert.include(
        (yield* control.containers).map(({ containerName }) => containerName),
        "shop-db"
      )
    }).pipe(Effect.provide(node()))
  )

  it.effect("but a container that was made in its place, for a deployment that is known, is its own and goes on", () =>
    Effect.gen(function* () {
      const control = yield* running()
      const registry = yield* Registry
      // As in a registry that was restored from a snapshot of before the container was made again.
      const older = yield* registry.components("shop")
      const ports = yield* registry.ports("shop")
      yield* control.lose
      yield* back()
      const made = (yield* control.containers).map(({ id }) => id)
      const asBefore = Effect.gen(function* () {
        for (const row of older) yield* registry.putComponent(row)
        for (const { id } of yield* control.containers) yield* registry.releasePorts(id)
        for (const row of ports) {
          yield* registry.reservePort(row)
          yield* registry.bindPorts(row.deployment, row.component, row.containerId ?? "")
        }
      })
      yield* asBefore
      assert.deepStrictEqual(yield* back(), ["db runs", "migrate rests", "import rests", "web runs"])
      assert.deepStrictEqual(
        (yield* control.containers).map(({ id }) => id),
        made
      )
      assert.deepStrictEqual(
        yield* portsNow,
        ports.map(({ port }) => port)
      )
      yield* sound
      // Of another generation it would only be in the way.
      yield* asBefore
      for (const row of older) yield* registry.putComponent({ ...row, generation: row.generation + 1 })
      assert.deepStrictEqual(yield* back(), ["db made", "migrate rests", "import rests", "web made"])
      yield* sound
    }).pipe(Effect.provide(node()))
  )

  it.effect("each of which is an event that says why, and by whom", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* control.lose
      yield* back("shop", { byHand: true, actor: "local:root" })
      const told = yield* (yield* Registry).events({ service: "shop", component: "web", since: 0, after: 0, limit: 20 })
      assert.deepInclude(
        told.find(({ kind }) => kind === "restarted"),
        { from: "removed", to: "running", message: "its container was gone", actor: "local:root" }
      )
    }).pipe(Effect.provide(node()))
  )
})

it.scoped("a start that fails is tried again with growing pauses, and not at once for ever", () =>
  Effect.gen(function* () {
    const control = yield* running()
    yield* control.kill("shop-db", 1)
    yield* TestClock.adjust("1 hour")
    const refused = new PortInUse({ container: "shop-db", why: "port 5432 is in use" })
    yield* control.failNext("start", refused, 1_000)
    const before = (yield* started).length
    yield* superviseRestarts
    for (let i = 0; i < 70; i++) yield* Effect.zipRight(settleDown, TestClock.adjust("1 seconds"))
    const tries = (yield* started).length - before
    assert.isAtLeast(tries, 3)
    assert.isAtMost(tries, 8)
  }).pipe(Effect.provide(node()))
)
