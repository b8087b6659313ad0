import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { superviseHealth } from "../../src/programs/healthChecks.ts"
import { start, stop } from "../../src/programs/lifecycle.ts"
import { live } from "../../src/programs/report.ts"
import { deployed, node, passTime, specOf } from "./support.ts"

const spec = (health: Record<string, unknown>) =>
  specOf({
    name: "shop",
    components: [
      {
        name: "web",
        image: "localhost/web:1",
        ports: ["127.0.0.1:8080:80"],
        health: { interval: "10s", retries: 2, start_period: "0s", ...health }
      }
    ]
  })

/** A node whose answers to probes the test decides, and which counts them. */
const probed = () => {
  const answer = { healthy: true, detail: "HTTP 200" }
  const asked = { times: 0 }
  const layer = node(() => {
    asked.times++
    return { ...answer }
  })
  const turn = (healthy: boolean) => Object.assign(answer, { healthy, detail: healthy ? "HTTP 200" : "HTTP 503" })
  return { layer, asked, turn }
}

const web = Effect.map(live("shop"), ([component]) => {
  if (component === undefined) throw new Error("shop has no component")
  return component
})

const running = (health: Record<string, unknown>) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    yield* control.addImage("localhost/web:1")
    yield* superviseHealth
    yield* deployed(spec(health))
    return control
  })

describe("the health of what runs", () => {
  it.scoped("is watched after the deployment: unhealthy after `retries` failures, and healthy again by itself", () => {
    const { layer, turn } = probed()
    return Effect.gen(function* () {
      yield* running({ http: "/" })
      assert.strictEqual((yield* web).health, "healthy")
      turn(false)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* web).health, "healthy")
      yield* TestClock.adjust("10 seconds")
      const sick = yield* web
      assert.deepStrictEqual([sick.health, sick.observed, sick.drift], ["unhealthy", "unhealthy", ["unhealthy"]])
      assert.isDefined(sick.startedAt)
      turn(true)
      yield* TestClock.adjust("10 seconds")
      const well = yield* web
      assert.deepStrictEqual([well.health, well.observed, well.drift], ["healthy", "running", []])
    }).pipe(Effect.provide(layer))
  })

  it.scoped("is not asked for while the component is stopped, and is again once it runs", () => {
    const { asked, layer, turn } = probed()
    return Effect.gen(function* () {
      yield* running({ http: "/" })
      turn(false)
      yield* stop({ service: "shop", component: undefined })
      yield* TestClock.adjust("1 seconds")
      const before = asked.times
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(asked.times, before)
      assert.strictEqual((yield* web).health, undefined)
      turn(true)
      const fiber = yield* Effect.fork(start({ service: "shop", component: undefined }))
      yield* passTime(fiber)
      yield* TestClock.adjust("1 minutes")
      assert.isAbove(asked.times, before + 4)
      assert.strictEqual((yield* web).health, "healthy")
    }).pipe(Effect.provide(layer))
  })

  it.scoped("a command in the container decides by its exit code; a runtime that is away says nothing of it", () => {
    const { layer } = probed()
    return Effect.gen(function* () {
      const control = yield* running({ cmd: ["check"] })
      assert.strictEqual((yield* web).health, "healthy")
      yield* control.program("localhost/web:1", { exec: () => ({ exitCode: 1, output: "no database" }) })
      yield* control.setDown(true)
      yield* TestClock.adjust("1 minutes")
      yield* control.setDown(false)
      assert.strictEqual((yield* web).health, "healthy")
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* web).health, "unhealthy")
    }).pipe(Effect.provide(layer))
  })

  it.scoped("begins anew with a container that was started again", () => {
    const { layer, turn } = probed()
    return Effect.gen(function* () {
      const control = yield* running({ http: "/" })
      turn(false)
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* web).health, "unhealthy")
      yield* control.kill("shop-web", 1)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* web).health, undefined)
    }).pipe(Effect.provide(layer))
  })
})
