import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { backoff, dueOf, nextRestart, none } from "../../src/domain/Restart.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { deploy } from "../../src/programs/deploy.ts"
import { eventsOf, forgetEvents } from "../../src/programs/events.ts"
import { stop, undeploy } from "../../src/programs/lifecycle.ts"
import { live } from "../../src/programs/report.ts"
import { superviseRestarts } from "../../src/programs/restarts.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"
import { asked, deployed, node, passTime, specOf } from "./support.ts"

const web = (change: Record<string, unknown> = {}) =>
  specOf({ name: "shop", components: [{ name: "web", image: "localhost/web:1", ...change }] })

const running = (change: Record<string, unknown> = {}) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    yield* control.addImage("localhost/web:1")
    yield* deployed(web(change))
    yield* superviseRestarts
    yield* settleDown
    return control
  })

/** Lets the supervisor see what has happened. */
const settleDown = Effect.repeatN(Effect.yieldNow(), 500)
const pass = (time: `${number} millis` | `${number} seconds`) =>
  Effect.zipRight(Effect.zipRight(settleDown, TestClock.adjust(time)), settleDown)
const state = Effect.map(live("shop"), ([only]) => [only?.observed, only?.restarts])

describe("when a container ends, its restart policy says what follows", () => {
  it("pauses 1 s first, twice as long each time up to 60 s, and 1 s again once it ran for 60 s", () => {
    const delays: Array<number> = []
    let soFar = none
    for (let i = 0; i < 9; i++) {
      soFar = nextRestart("always", { exitCode: 1, ranMs: 10 }, soFar) ?? none
      delays.push(soFar.delayMs / 1000)
    }
    assert.deepStrictEqual(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60])
    assert.include(nextRestart("always", { exitCode: 1, ranMs: backoff.steadyMs }, soFar), {
      delayMs: 1_000,
      failures: 1
    })
  })

  it.each<[string, number, number, boolean]>([
    ["no", 1, 0, false],
    ["unless-stopped", 0, 0, true],
    ["always", 0, 0, true],
    ["on-failure", 0, 0, false],
    ["on-failure", 1, 100, true],
    ["on-failure:2", 1, 1, true],
    ["on-failure:2", 1, 2, false]
  ])("%s after exit %i and %i failures: again %s", (policy, exitCode, failures, again) =>
    assert.strictEqual(nextRestart(policy, { exitCode, ranMs: 0 }, { ...none, failures }) !== undefined, again)
  )
})

it("a clock that was set back makes no pause longer than the longest", () => {
  const ended = { state: "exited", exitCode: 1, startedAt: 0, finishedAt: 3_600_000 }
  const known = { ...none, restarts: 1, endedAt: 3_600_000, nextAt: 3_601_000, rests: false }
  assert.deepInclude(dueOf("always", ended, known, 10_000), { act: "restart", at: 10_000 + backoff.mostMs })
})

describe("the agent", () => {
  it.scoped("starts it again after the pause, counts it, and says until when it waits", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* control.kill("shop-web", 1)
      yield* pass("500 millis")
      assert.deepStrictEqual(yield* state, ["exited", 0])
      assert.isNumber((yield* live("shop"))[0]?.restartAt)
      yield* pass("600 millis")
      assert.deepStrictEqual(yield* state, ["running", 1])
      yield* control.kill("shop-web", 1)
      yield* pass("1500 millis")
      assert.deepStrictEqual(yield* state, ["exited", 1])
      yield* pass("600 millis")
      assert.deepStrictEqual(yield* state, ["running", 2])
    }).pipe(Effect.provide(node()))
  )

  it.scoped("waits anew for a container that somebody started meanwhile, and that ended once more", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* control.kill("shop-web", 1)
      yield* pass("600 millis")
      yield* (yield* ContainerRuntime).start("shop-web")
      yield* control.kill("shop-web", 1)
      yield* pass("500 millis")
      assert.deepStrictEqual(yield* state, ["exited", 0])
      yield* pass("2 seconds")
      assert.deepStrictEqual(yield* state, ["running", 1])
    }).pipe(Effect.provide(node()))
  )

  it.scoped("lets it rest once on-failure:N is used up", () =>
    Effect.gen(function* () {
      const control = yield* running({ restart: "on-failure:1" })
      yield* control.kill("shop-web", 1)
      yield* pass("2 seconds")
      assert.deepStrictEqual(yield* state, ["running", 1])
      yield* control.kill("shop-web", 1)
      yield* pass("100 seconds")
      assert.deepStrictEqual(yield* state, ["exited", 1])
    }).pipe(Effect.provide(node()))
  )

  it.scoped("does not start what was stopped while a restart was pending", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* control.kill("shop-web", 1)
      yield* pass("500 millis")
      yield* stop({ service: "shop", component: undefined })
      yield* pass("100 seconds")
      assert.deepStrictEqual(yield* state, ["stopped", 0])
    }).pipe(Effect.provide(node()))
  )

  it.scoped("gives way to a deploy that comes while a restart is pending", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* control.kill("shop-web", 1)
      yield* pass("500 millis")
      yield* control.addImage("localhost/web:2")
      const fiber = yield* Effect.fork(deploy(asked(web({ image: "localhost/web:2" })), () => Effect.void))
      yield* passTime(fiber)
      assert.strictEqual((yield* fiber).state, "succeeded")
      yield* pass("100 seconds")
      assert.deepStrictEqual(yield* state, ["running", 0])
      assert.lengthOf(yield* control.containers, 1)
    }).pipe(Effect.provide(node()))
  )

  it.scoped("catches up with what ended while it was away", () =>
    Effect.gen(function* () {
      const control = yield* FakeRuntimeControl
      yield* control.addImage("localhost/web:1")
      yield* deployed(web())
      yield* control.kill("shop-web", 1)
      yield* TestClock.adjust("1 hour")
      yield* superviseRestarts
      yield* pass("1 millis")
      assert.deepStrictEqual(yield* state, ["running", 1])
    }).pipe(Effect.provide(node()))
  )

  it.scoped("leaves what a deployment has stopped alone, and what goes back counts no restart", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* control.addImage("localhost/web:bad", { exits: { afterMs: 30_000, code: 1 } })
      const starts = (yield* control.calls).filter((call) => call.startsWith("start")).length
      const bad = web({ image: "localhost/web:bad", settle: "60s" })
      const fiber = yield* Effect.fork(deploy(asked(bad), () => Effect.void))
      for (let i = 0; i < 45; i++) yield* pass("1 seconds")
      assert.strictEqual((yield* fiber).state, "rolled_back")
      yield* pass("100 seconds")
      assert.deepStrictEqual(yield* state, ["running", 0])
      // The new one, and the old one once it went back.
      assert.lengthOf(
        (yield* control.calls).filter((call) => call.startsWith("start")),
        starts + 2
      )
    }).pipe(Effect.provide(node()))
  )

  it.scoped("restarts an old container that goes on serving while its successor starts", () =>
    Effect.gen(function* () {
      const control = yield* running({ update_order: "start-first" })
      yield* control.addImage("localhost/web:2")
      const next = web({ image: "localhost/web:2", update_order: "start-first", settle: "60s" })
      const fiber = yield* Effect.fork(deploy(asked(next), () => Effect.void))
      yield* pass("1 seconds")
      yield* control.kill("shop-web.prev", 1)
      yield* pass("1500 millis")
      const old = (yield* control.containers).find((c) => c.containerName === "shop-web.prev")
      assert.strictEqual(old?.state, "running")
      for (let i = 0; i < 70; i++) yield* pass("1 seconds")
      assert.strictEqual((yield* fiber).state, "succeeded")
      assert.lengthOf(yield* control.containers, 1)
    }).pipe(Effect.provide(node()))
  )
})

it.scoped("what the agent did by itself is an event, with its cause", () =>
  Effect.gen(function* () {
    const control = yield* running()
    yield* control.kill("shop-web", 137)
    yield* pass("1 seconds")
    const told = yield* (yield* Registry).events({ service: "shop", component: "web", since: 0, after: 0, limit: 10 })
    assert.deepInclude(told.at(-1), { kind: "restarted", from: "exited", to: "running", actor: "" })
    assert.match(told.at(-1)?.message ?? "", /exit code 137|killed/)
  }).pipe(Effect.provide(node()))
)

it.scoped("events are forgotten when they are older than the retention, looked at each hour", () =>
  Effect.gen(function* () {
    yield* running()
    const known = Effect.flatMap(Registry, (r) => r.events({ since: 0, after: 0, limit: 10 }))
    yield* Effect.forkScoped(forgetEvents("1 hour"))
    yield* pass("1 seconds")
    assert.isAbove((yield* known).length, 0)
    yield* TestClock.adjust("3 hours")
    yield* settleDown
    assert.deepStrictEqual(yield* known, [])
  }).pipe(Effect.provide(node()))
)

it.effect("events of what was never here are an error, and of what was undeployed are not", () =>
  Effect.gen(function* () {
    yield* (yield* FakeRuntimeControl).addImage("localhost/web:1")
    yield* deployed(web())
    const of = (service: string, component?: string) => eventsOf({ service, component, since: 0, after: 0, limit: 10 })
    assert.strictEqual((yield* Effect.flip(of("shpo")))._tag, "ServiceNotFound")
    assert.strictEqual((yield* Effect.flip(of("shop", "wbe")))._tag, "ComponentNotFound")
    assert.deepStrictEqual(yield* of("shop", "web"), [])
    yield* undeploy("shop")
    assert.isAbove((yield* of("shop")).length, 2)
  }).pipe(Effect.provide(node()))
)
