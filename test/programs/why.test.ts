import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { deploy } from "../../src/programs/deploy.ts"
import { superviseHealth } from "../../src/programs/healthChecks.ts"
import { start, stop, undeploy } from "../../src/programs/lifecycle.ts"
import { superviseRestarts } from "../../src/programs/restarts.ts"
import { type Explained, why } from "../../src/programs/why.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"
import { PortInUse } from "../../src/services/RuntimeError.ts"
import { asked, deployed, node, passTime, shop, specOf } from "./support.ts"

const secret = "hunter2"
const web = (change: Record<string, unknown> = {}) =>
  specOf({
    name: "shop",
    components: [{ name: "web", image: "localhost/web:1", env: { PASSWORD: secret }, ...change }]
  })

const whole = { service: "shop", component: undefined }
const settleDown = Effect.repeatN(Effect.yieldNow(), 500)
const pass = (time: `${number} millis` | `${number} seconds`) =>
  Effect.zipRight(Effect.zipRight(settleDown, TestClock.adjust(time)), settleDown)

const only = Effect.map(why(whole), ([first, ...rest]): Explained => {
  assert.deepStrictEqual(rest, [])
  if (first === undefined) throw new Error("nothing was explained")
  assert.notInclude(JSON.stringify(first), secret)
  return first
})

const texts = ({ timeline }: Explained, kind: string) =>
  timeline.filter((entry) => entry.kind === kind).map(({ text }) => text)

const running = (change: Record<string, unknown> = {}) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    yield* control.addImage("localhost/web:1", { logs: ["ready"] })
    yield* deployed(web(change))
    return control
  })

describe("why", () => {
  it.effect("of what runs says so, of what was never here is an error with the nearest name", () =>
    Effect.gen(function* () {
      yield* running()
      const said = yield* only
      assert.deepInclude(said, { cause: "running", well: true, component: "web" })
      assert.strictEqual(said.live?.observed, "running")
      assert.match(texts(said, "deploy")[0] ?? "", /began: create, version 1$/)
      assert.deepStrictEqual(texts(said, "log"), ["ready"])
      const none = yield* Effect.flip(why({ service: "shpo", component: undefined }))
      assert.deepInclude(none, { _tag: "ServiceNotFound", nearest: "shop" })
      assert.strictEqual((yield* Effect.flip(why({ service: "shop", component: "wbe" })))._tag, "ComponentNotFound")
    }).pipe(Effect.provide(node()))
  )

  it.scoped("of what ends again and again says when it is started next, and keeps every end's exit code", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* superviseRestarts
      for (const wait of ["1100 millis", "2100 millis", "4100 millis", "8100 millis", "16100 millis"] as const) {
        yield* control.kill("shop-web", 3)
        yield* pass(wait)
      }
      yield* control.kill("shop-web", 3)
      yield* pass("2 seconds")
      const said = yield* only
      assert.strictEqual(said.cause, "exited_3")
      assert.match(
        said.summary,
        /again and again, last 2s ago: .* exit code 3; the agent starts it again in 30s \(5 restarts so far\)/
      )
      assert.isNumber(said.live?.restartAt)
      const told = texts(said, "restarted")
      assert.lengthOf(told, 4)
      assert.match(told[0] ?? "", /^2 times in 2s: started again: it ended with exit code 3$/)
      assert.deepStrictEqual(texts(said, "exit"), ["exit code 3"])
      // It has run for long enough: all is well again, and the past is told.
      yield* pass("120 seconds")
      const well = yield* only
      assert.strictEqual(well.cause, "running")
      assert.match(well.summary, /started it again 6 times, last 2m2s ago \(exited 3\)/)
    }).pipe(Effect.provide(node()))
  )

  it.scoped("a restart that fails is recorded with its reason, once however often it is tried", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* superviseRestarts
      const refuses = new PortInUse({ container: "shop-web", why: "the port 80 is in use on the node" })
      yield* control.program("localhost/web:1", { refuses })
      yield* control.kill("shop-web", 1)
      yield* pass("200 seconds")
      const said = yield* only
      assert.strictEqual(said.cause, "port_taken")
      assert.match(
        said.summary,
        /^the agent cannot start it \(since 3m\d+s\): cannot start shop-web: the port 80 is in use/
      )
      const events = yield* (yield* Registry).events({ service: "shop", since: 0, after: 0, limit: 50 })
      const failed = events.filter(({ to }) => to === "failed")
      assert.lengthOf(failed, 1)
      assert.deepInclude(failed[0], { kind: "restarted", from: "exited", reason: "PORT_IN_USE" })
      // Once by the deployment, and then after 1, 2, 4, 8, 16, 32, 60 and 60 s.
      const starts = (yield* control.calls).filter((call) => call === "start shop-web").length
      assert.strictEqual(starts, 9)
    }).pipe(Effect.provide(node()))
  )

  it.effect("tells a container that somebody removed, and an image that is gone when it is to be made again", () =>
    Effect.gen(function* () {
      yield* running()
      const runtime = yield* ContainerRuntime
      yield* TestClock.adjust("1 second")
      yield* runtime.remove("shop-web")
      assert.strictEqual((yield* only).cause, "removed_by_hand")
      const image = yield* runtime.image("localhost/web:1")
      assert.strictEqual(image._tag, "Some")
      if (image._tag === "Some") yield* runtime.removeImage(image.value.id)
      yield* Effect.flip(start({ ...whole, actor: "eve" }))
      const gone = yield* only
      assert.strictEqual(gone.cause, "image_missing")
      assert.match(gone.summary, /^it did not start when eve asked for it/)
      assert.deepInclude(gone.timeline.at(-1), { kind: "start", actor: "eve" })
      yield* (yield* FakeRuntimeControl).addImage("localhost/web:1")
      const fiber = yield* Effect.fork(start(whole))
      yield* passTime(fiber)
      assert.strictEqual((yield* only).cause, "running")
    }).pipe(Effect.provide(node()))
  )

  it.effect("of a first deployment that failed tells its logs, though nothing of it is left", () =>
    Effect.gen(function* () {
      const control = yield* FakeRuntimeControl
      const bad = { logs: ["no config", "giving up"], exits: { afterMs: 10, code: 4 } }
      yield* control.addImage("localhost/web:1", bad)
      yield* control.addImage("localhost/worker:1")
      yield* deployed(shop("1"))
      const [one, other] = yield* why(whole)
      assert.deepInclude(one, { component: "web", cause: "exited_4", live: undefined })
      assert.match(one?.summary ?? "", /^nothing of it runs: the deploy by ada .* was rolled back: .*exit code 4$/)
      assert.deepStrictEqual(one && texts(one, "log"), ["no config", "giving up"])
      assert.deepInclude(other, { component: "worker", cause: "rolled_back", behind: "exited_4" })
      assert.strictEqual(other?.nextStep, "mcp why shop/web")
    }).pipe(Effect.provide(node()))
  )

  it.effect("of a deployment that was refused before anything was touched tells too", () =>
    Effect.gen(function* () {
      yield* deployed(web()).pipe(
        Effect.flip,
        Effect.flatMap((error) => Effect.sync(() => assert.strictEqual(error._tag, "ImagePullFailed")))
      )
      const first = yield* only
      assert.strictEqual(first.cause, "image_missing")
      assert.match(first.summary, /^nothing of it runs: the deploy by ada .* was refused: cannot pull localhost\/web:1/)
      yield* TestClock.adjust("1 second")
      yield* running()
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* only).cause, "running")
      yield* Effect.flip(deployed(web({ image: "localhost/web:2" })))
      assert.deepInclude(yield* only, { cause: "deploy_refused", behind: "image_missing" })
      // The definition that runs is deployed again: nothing is to be done, and that is accepted.
      yield* TestClock.adjust("1 second")
      yield* deployed(web())
      assert.strictEqual((yield* only).cause, "running")
    }).pipe(Effect.provide(node()))
  )

  it.effect("of a deployment under way, and of one that went back to what ran", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* control.addImage("localhost/web:2", { exits: { afterMs: 20_000, code: 1 } })
      const fiber = yield* Effect.fork(
        deploy(asked(web({ image: "localhost/web:2", settle: "60s" })), () => Effect.void)
      )
      yield* pass("5 seconds")
      const meanwhile = yield* only
      assert.strictEqual(meanwhile.cause, "deploying")
      assert.match(meanwhile.summary, /^a deploy by ada has been under way for 5s$/)
      assert.include(texts(meanwhile, "deploy").at(-1) ?? "", "under way (starting)")
      yield* passTime(fiber)
      const back = yield* only
      assert.deepInclude(back, { cause: "rolled_back", behind: "exited_1", well: false })
      assert.strictEqual(back.live?.observed, "running")
    }).pipe(Effect.provide(node()))
  )

  it.scoped("of what is unhealthy says since when, and what its probes were answered", () => {
    const answer = { healthy: true, detail: "HTTP 200" }
    return Effect.gen(function* () {
      yield* superviseHealth
      yield* running({ ports: ["127.0.0.1:8080:80"], health: { http: "/", interval: "10s", retries: 2 } })
      yield* pass("30 seconds")
      Object.assign(answer, { healthy: false, detail: "HTTP 503: database is down" })
      yield* pass("10 seconds")
      const once = yield* only
      assert.strictEqual(once.cause, "running")
      assert.match(once.summary, /its last probe failed: HTTP 503: database is down/)
      yield* pass("30 seconds")
      const said = yield* only
      assert.strictEqual(said.cause, "probe_status_503")
      assert.match(said.summary, /has failed for \d\ds: HTTP 503: database is down$/)
      const [good, bad] = texts(said, "probe")
      assert.match(good ?? "", /^HTTP 200, \d times in \d\ds$/)
      assert.match(bad ?? "", /^failed: HTTP 503: database is down, \d times in \d\ds$/)
    }).pipe(Effect.provide(node(() => ({ ...answer }))))
  })

  it.effect("of what was stopped says who did it, and of what was undeployed that it was", () =>
    Effect.gen(function* () {
      yield* running()
      yield* TestClock.adjust("1 second")
      yield* stop({ ...whole, actor: "bob" })
      yield* TestClock.adjust("90 seconds")
      const stopped = yield* only
      assert.deepInclude(stopped, { cause: "stopped_by_operator", summary: "bob stopped it 1m30s ago", well: true })
      yield* undeploy("shop")
      assert.deepInclude(yield* only, { cause: "undeployed", well: true })
    }).pipe(Effect.provide(node()))
  )

  it.effect("with podman away claims nothing, and still tells what was done", () =>
    Effect.gen(function* () {
      const control = yield* running()
      yield* control.setDown(true)
      const said = yield* only
      assert.deepInclude(said, { cause: "runtime_unavailable", well: false })
      assert.isAbove(texts(said, "deploy").length, 1)
    }).pipe(Effect.provide(node()))
  )
})
