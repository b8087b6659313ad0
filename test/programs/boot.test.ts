import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, HashMap, Logger, TestClock } from "effect"
import type { BootStage } from "../../src/domain/AgentConfig.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { boot } from "../../src/programs/boot.ts"
import { deploy } from "../../src/programs/deploy.ts"
import { recoverNode } from "../../src/programs/recoverNode.ts"
import { superviseRestarts } from "../../src/programs/restarts.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { asked, deployed, node, passTime, specOf } from "./support.ts"

const plain = (name: string, change: Record<string, unknown> = {}) =>
  specOf({ name, components: [{ name: "web", image: `localhost/${name}:1`, ...change }] })

const settleDown = Effect.repeatN(Effect.yieldNow(), 500)
const pass = (seconds: number) =>
  Effect.repeatN(Effect.zipRight(settleDown, Effect.zipRight(TestClock.adjust("1 seconds"), settleDown)), seconds - 1)

const stage = (name: string, services: ReadonlyArray<string>, change: Partial<BootStage> = {}) =>
  ({ name, services, timeout: 10_000, health: "component", ...change }) as BootStage

/** Services that run; then the agent is gone, and podman has lost all of them. */
const lost = (...names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    for (const name of names) {
      yield* control.addImage(`localhost/${name}:1`)
      yield* deployed(plain(name, { ports: [`127.0.0.1:80${names.indexOf(name)}0:80`] }))
    }
    yield* control.lose
    return control
  })

/** A new agent boots; `said` collects its warnings with their service or stage. */
const booting = (stages: ReadonlyArray<BootStage>) =>
  Effect.gen(function* () {
    const said: Array<string> = []
    const logger = Logger.make(({ annotations, logLevel, message }) => {
      const of = ["stage", "service", "services"].flatMap((key) => {
        const value = HashMap.get(annotations, key)
        return value._tag === "Some" ? [String(value.value)] : []
      })
      if (logLevel._tag === "Warning") said.push(`${String(message)} (${of.join(" ")})`)
    })
    const fiber = yield* Effect.forkScoped(
      boot({ stages, breakGlass: "mcp-agent deploy FILE" }).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
    )
    const over = Effect.map(fiber.status, ({ _tag }) => _tag === "Done")
    return { said, over, fiber }
  })

const running = Effect.map(
  Effect.flatMap(FakeRuntimeControl, (control) => control.containers),
  (all) => all.filter(({ state }) => state === "running").map(({ containerName }) => containerName.replace(/-web$/, ""))
)

describe("an agent boots", () => {
  it.scoped("stage by stage, and brings back what is in no stage after them", () =>
    Effect.gen(function* () {
      yield* lost("aaa", "zzz", "mid")
      const { over, said } = yield* booting([stage("first", ["zzz"]), stage("second", ["mid"])])
      yield* pass(10)
      assert.isTrue(yield* over)
      assert.deepStrictEqual(yield* running, ["zzz", "mid", "aaa"])
      assert.deepStrictEqual(
        said.filter((line) => line.includes("stage")),
        []
      )
    }).pipe(Effect.provide(node()))
  )

  it.scoped("with a first stage that it waits for, whatever it takes: nothing else is started before", () => {
    let healthy = false
    const answers = () => ({ healthy, detail: "connection refused" })
    return Effect.gen(function* () {
      yield* lost("mcias", "shop")
      const { over, said } = yield* booting([stage("first", ["mcias"], { health: "tcp" })])
      yield* pass(35)
      assert.isFalse(yield* over)
      assert.deepStrictEqual(yield* running, ["mcias"])
      assert.isAtLeast(said.filter((line) => line === "a boot stage is not up; it is waited for (first)").length, 3)
      // What ends meanwhile is started again, though nobody else looks after it yet.
      yield* (yield* FakeRuntimeControl).kill("mcias-web", 1)
      yield* pass(5)
      assert.deepStrictEqual(yield* running, ["mcias"])
      healthy = true
      yield* pass(5)
      assert.isTrue(yield* over)
      assert.deepStrictEqual(yield* running, ["mcias", "shop"])
    }).pipe(Effect.provide(node(answers)))
  })

  it.scoped("on beyond a later stage that is not up within its timeout, with a warning", () => {
    let asked = 0
    // The first stage's port answers, nothing after it does.
    const answers = () => ({ healthy: asked++ === 0, detail: "connection refused" })
    return Effect.gen(function* () {
      yield* lost("mcias", "mcns", "shop")
      const stages = [
        stage("one", ["mcias"], { health: "tcp" }),
        stage("two", ["mcns"], { health: "grpc", timeout: 5_000 })
      ]
      const { over, said } = yield* booting(stages)
      yield* pass(4)
      assert.isFalse(yield* over)
      assert.deepStrictEqual(yield* running, ["mcias", "mcns"])
      yield* pass(6)
      assert.isTrue(yield* over)
      assert.deepStrictEqual(yield* running, ["mcias", "mcns", "shop"])
      assert.include(said, "a boot stage is not up; the boot goes on (two)")
    }).pipe(Effect.provide(node(answers)))
  })

  it.scoped("past a service that no longer exists, with a warning", () =>
    Effect.gen(function* () {
      yield* lost("shop")
      const { over, said } = yield* booting([stage("first", ["mcias"])])
      yield* pass(5)
      assert.isTrue(yield* over)
      assert.deepStrictEqual(yield* running, ["shop"])
      assert.include(said, "a boot stage names services that are not deployed here (first mcias)")
    }).pipe(Effect.provide(node()))
  )

  it.scoped("though a service fails: it holds up no other, and is back once it can be", () =>
    Effect.gen(function* () {
      const control = yield* lost("shop", "blog")
      for (const id of (yield* control.images).slice(0, 1))
        yield* Effect.flatMap(ContainerRuntime, (runtime) => runtime.removeImage(id))
      const { over, said } = yield* booting([])
      yield* pass(3)
      assert.isTrue(yield* over)
      assert.deepStrictEqual(yield* running, ["blog"])
      yield* superviseRestarts
      assert.lengthOf(
        said.filter((line) => line.startsWith("a service is not back yet")),
        1
      )
      yield* control.addRemoteImage("localhost/shop:1")
      yield* pass(20)
      assert.deepStrictEqual(yield* running, ["blog", "shop"])
    }).pipe(Effect.provide(node()))
  )

  it.scoped("beside a deployment that is asked for meanwhile, and waits for its turn", () =>
    Effect.gen(function* () {
      const control = yield* lost("mcias")
      yield* control.setLatency("create", 5_000)
      const { over } = yield* booting([stage("first", ["mcias"])])
      yield* pass(1)
      yield* control.addImage("localhost/mcias:2")
      const next = plain("mcias", { image: "localhost/mcias:2" })
      const fiber = yield* Effect.fork(deploy(asked(next), () => Effect.void))
      yield* passTime(fiber)
      assert.strictEqual((yield* Fiber.join(fiber)).state, "succeeded")
      yield* pass(5)
      assert.isTrue(yield* over)
      assert.lengthOf(yield* control.containers, 1)
    }).pipe(Effect.provide(node()))
  )
})

it.effect("by hand all is brought back once, and what is not is told", () =>
  Effect.gen(function* () {
    const control = yield* lost("shop", "blog")
    const told: Array<string> = []
    const recovering = recoverNode([stage("first", ["shop"])], "local:root", (done) =>
      Effect.sync(
        () => void told.push(...done.map(({ component, fate, service }) => `${service}/${component} ${fate}`))
      )
    )
    const first = yield* Effect.fork(recovering)
    yield* passTime(first)
    assert.isTrue(yield* first)
    assert.deepStrictEqual(told.splice(0), ["shop/web made", "blog/web made"])
    yield* control.program("localhost/shop:1", { exits: { afterMs: 100, code: 3 } })
    yield* control.lose
    const second = yield* Effect.fork(recovering)
    yield* passTime(second)
    assert.isFalse(yield* second)
    assert.deepStrictEqual(told, ["shop/web unready", "blog/web made"])
  }).pipe(Effect.provide(node()))
)
