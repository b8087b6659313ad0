import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { deploy } from "../../src/programs/deploy.ts"
import { restart, start, stop, undeploy } from "../../src/programs/lifecycle.ts"
import { live, liveOrUnknown, statusOf } from "../../src/programs/report.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"
import { RegistryUnavailable } from "../../src/services/RegistryError.ts"
import { asked, deployed, node, passTime, shop, until } from "./support.ts"

const whole = { service: "shop", component: undefined }

const running = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  yield* control.addImage("localhost/web:1")
  yield* control.addImage("localhost/worker:1")
  yield* deployed(shop("1"))
  return control
})

/** Runs with the clock moving. */
const waited = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.fork(effect), (fiber) => Effect.zipRight(passTime(fiber), Fiber.join(fiber)))

const states = Effect.map(live("shop"), (all) => all.map((c) => `${c.component} ${c.observed} (${c.desired})`))

describe("stop, start and restart", () => {
  it.effect("a stopped service stays known, its desired state is stopped, and saying it twice changes nothing", () =>
    Effect.gen(function* () {
      yield* running
      const outcomes = yield* stop(whole)
      assert.deepStrictEqual(
        outcomes.map((o) => `${o.component} ${o.changed}`),
        ["web true", "worker true"]
      )
      assert.deepStrictEqual(yield* states, ["web stopped (stopped)", "worker stopped (stopped)"])
      assert.isTrue((yield* stop(whole)).every((o) => !o.changed))
    }).pipe(Effect.provide(node()))
  )

  it.effect("start runs the stored spec again, and makes a container that was removed by hand anew", () =>
    Effect.gen(function* () {
      const control = yield* running
      yield* stop(whole)
      const outcomes = yield* waited(start(whole))
      assert.deepStrictEqual(
        outcomes.map((o) => `${o.component} ${o.changed}`),
        ["worker true", "web true"]
      )
      assert.isTrue((yield* waited(start(whole))).every((o) => !o.changed))
      const [web] = (yield* control.containers).filter((c) => c.containerName === "shop-web")
      yield* (yield* ContainerRuntime).remove(web?.id ?? "")
      assert.deepStrictEqual(yield* states, ["web removed (running)", "worker running (running)"])
      yield* waited(start(whole))
      assert.deepStrictEqual(yield* states, ["web running (running)", "worker running (running)"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("one component is stopped alone, and restart leaves it so", () =>
    Effect.gen(function* () {
      yield* running
      yield* stop({ service: "shop", component: "worker" })
      assert.deepStrictEqual(yield* states, ["web running (running)", "worker stopped (stopped)"])
      const outcomes = yield* waited(restart(whole, "ada"))
      assert.deepStrictEqual(
        outcomes.map((o) => `${o.component} ${o.changed}`),
        ["web true", "worker false"]
      )
      assert.deepStrictEqual(yield* states, ["web running (running)", "worker stopped (stopped)"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("who restarted and who undeployed it is in the events", () =>
    Effect.gen(function* () {
      yield* running
      yield* waited(restart(whole, "ada"))
      yield* undeploy("shop", "bob")
      const events = yield* (yield* Registry).events({ service: "shop", since: 0, after: 0, limit: 100 })
      const told = events.map(({ actor, kind, to }) => `${kind} ${to} by ${actor}`)
      assert.includeMembers(told, ["restart begun by ada", "desired stopped by bob"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("a restart that the registry cannot take down touches no container", () =>
    Effect.gen(function* () {
      const control = yield* running
      const registry = yield* Registry
      const locked = new RegistryUnavailable({ operation: "written", why: "database is locked" })
      const before = yield* control.containers
      const error = yield* Effect.flip(restart(whole, "ada")).pipe(
        Effect.provideService(Registry, { ...registry, recordEvent: () => locked })
      )
      assert.strictEqual(error.message, "the registry could not be written: database is locked")
      assert.deepStrictEqual(yield* control.containers, before)
    }).pipe(Effect.provide(node()))
  )

  it.effect("an unknown service is refused with the nearest known one, an unknown component with the known ones", () =>
    Effect.gen(function* () {
      yield* running
      const service = yield* Effect.flip(stop({ service: "shpo", component: undefined }))
      assert.strictEqual(service.message, "no service named shpo on this node; did you mean shop?")
      const component = yield* Effect.flip(stop({ service: "shop", component: "wbe" }))
      assert.strictEqual(component.message, "service shop has no component wbe; it has web, worker")
    }).pipe(Effect.provide(node()))
  )
})

describe("undeploy", () => {
  it.effect("removes containers, the service's bridge and its rows, keeps the history, and may be said twice", () =>
    Effect.gen(function* () {
      const control = yield* running
      assert.deepStrictEqual(yield* undeploy("shop"), ["shop-web", "shop-worker"])
      assert.deepStrictEqual(yield* control.containers, [])
      assert.deepStrictEqual(yield* control.networks, [])
      assert.deepStrictEqual(yield* undeploy("shop"), [])
      assert.lengthOf(yield* (yield* Registry).deployments("shop", 5), 1)
      const error = yield* Effect.flip(undeploy("blog"))
      assert.strictEqual(error._tag, "ServiceNotFound")
    }).pipe(Effect.provide(node()))
  )
})

describe("undeploy during the first deployment", () => {
  it.effect("is told of the deployment, and does not say that nothing is left", () =>
    Effect.gen(function* () {
      const control = yield* FakeRuntimeControl
      yield* control.addImage("localhost/web:1")
      yield* control.addImage("localhost/worker:1")
      const first = yield* Effect.fork(deploy(asked(shop("1")), () => Effect.void))
      yield* until(Effect.orDie((yield* Registry).unfinishedDeployments), (all) => all.length === 1)
      const error = yield* Effect.flip(undeploy("shop"))
      assert.strictEqual(error._tag, "ServiceBusy")
      yield* passTime(first)
      yield* Fiber.join(first)
      assert.deepStrictEqual(yield* undeploy("shop"), ["shop-web", "shop-worker"])
    }).pipe(Effect.provide(node()))
  )
})

describe("what is reported", () => {
  it.effect("a container that ended by itself is exited with its code, one removed by hand is removed", () =>
    Effect.gen(function* () {
      const control = yield* running
      yield* control.kill("shop-web", 3)
      const [web] = yield* live("shop")
      assert.deepInclude(web, { observed: "exited", exitCode: 3 })
      const [row] = yield* (yield* Registry).components("shop")
      assert.strictEqual(row?.observed, "exited")
    }).pipe(Effect.provide(node()))
  )

  it.effect("with podman away the registry still answers, and claims nothing", () =>
    Effect.gen(function* () {
      const control = yield* running
      yield* control.setDown(true)
      assert.deepStrictEqual(
        (yield* liveOrUnknown("shop")).map((c) => c.observed),
        ["unknown", "unknown"]
      )
      const [status] = yield* statusOf("shop", { deployments: 5, events: 5 })
      assert.strictEqual(status?.deployments[0]?.state, "succeeded")
    }).pipe(Effect.provide(node()))
  )
})
