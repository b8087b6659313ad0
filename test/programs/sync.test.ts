import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { Labels } from "../../src/domain/Names.ts"
import { FakeProxyControl } from "../../src/layers/FakeProxy.ts"
import { start, stop, undeploy } from "../../src/programs/lifecycle.ts"
import { live } from "../../src/programs/report.ts"
import { rollback } from "../../src/programs/rollback.ts"
import { ServiceLocks } from "../../src/programs/ServiceLocks.ts"
import { sync } from "../../src/programs/sync.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"
import { deployed, node, shop, specOf } from "./support.ts"
import { everything, single, synced, waited, withImages } from "./syncing.ts"

const states = Effect.map(live(undefined), (all) =>
  all.map((c) => `${c.service}/${c.component} ${c.observed} (${c.desired})`)
)
const whole = { service: "shop", component: undefined }
const inactive = { active: false }

describe("a sync", () => {
  it.effect("deploys what is new or changed, and said twice it changes nothing", () =>
    Effect.gen(function* () {
      yield* withImages("web", "worker", "blog")
      yield* deployed(shop("1"))
      const specs = [shop("2"), single("blog")]
      const first = yield* synced(specs)
      assert.deepStrictEqual(first.outcomes, ["blog deployed", "shop deployed"])
      assert.deepStrictEqual(
        first.of("shop")?.plan.map(({ action, component }) => `${component} ${action}`),
        ["web replace", "worker replace"]
      )
      const [latest] = yield* (yield* Registry).deployments("shop", 1)
      assert.deepStrictEqual([latest?.id, latest?.actor], [first.of("shop")?.deployment, "ada"])
      const before = yield* everything
      assert.deepStrictEqual((yield* synced(specs)).outcomes, ["blog unchanged", "shop unchanged"])
      assert.deepStrictEqual(yield* everything, before)
    }).pipe(Effect.provide(node()))
  )

  it.effect("starts again a component that was stopped on its own, without a deployment", () =>
    Effect.gen(function* () {
      yield* withImages("web", "worker")
      yield* deployed(shop("1"))
      yield* stop({ ...whole, component: "web" })
      const { of } = yield* synced([shop("1")])
      assert.strictEqual(of("shop")?.outcome, "started")
      assert.deepStrictEqual(yield* states, ["shop/web running (running)", "shop/worker running (running)"])
      assert.lengthOf(yield* (yield* Registry).deployments("shop", 10), 1)
      const before = yield* everything
      assert.strictEqual((yield* synced([shop("1")])).of("shop")?.outcome, "unchanged")
      assert.deepStrictEqual(yield* everything, before)
    }).pipe(Effect.provide(node()))
  )

  it.effect("makes a container that was removed by hand again, from the image that it had", () =>
    Effect.gen(function* () {
      const control = yield* withImages("web", "worker")
      yield* deployed(shop("1"))
      const [web] = (yield* control.containers).filter((c) => c.containerName === "shop-web")
      // The name moves on: that is a deploy's.
      yield* control.addImage("localhost/web:1")
      yield* (yield* ContainerRuntime).remove("shop-web")
      assert.strictEqual((yield* synced([shop("1")])).of("shop")?.outcome, "started")
      const [again] = (yield* control.containers).filter((c) => c.containerName === "shop-web")
      assert.deepStrictEqual([again?.state, again?.imageId], ["running", web?.imageId])
    }).pipe(Effect.provide(node()))
  )

  it.effect("stops what is not to run and takes its routes away; active again it starts, routes too", () =>
    Effect.gen(function* () {
      yield* withImages("web")
      const routed = (active: boolean) =>
        specOf({
          name: "shop",
          active,
          components: [{ name: "web", image: "localhost/web:1", routes: [{ port: 443, hostname: "shop.example" }] }]
        })
      const proxy = yield* FakeProxyControl
      yield* deployed(routed(true))
      assert.strictEqual((yield* synced([routed(false)])).of("shop")?.outcome, "stopped")
      assert.deepStrictEqual([yield* states, yield* proxy.routes], [["shop/web stopped (stopped)"], []])
      const registry = yield* Registry
      assert.deepStrictEqual(
        (yield* registry.services).map(({ desired, spec }) => [desired, spec.active]),
        [["stopped", false]]
      )
      const before = yield* everything
      assert.strictEqual((yield* synced([routed(false)])).of("shop")?.outcome, "unchanged")
      assert.deepStrictEqual(yield* everything, before)
      assert.strictEqual((yield* synced([routed(true)])).of("shop")?.outcome, "started")
      assert.deepStrictEqual(yield* states, ["shop/web running (running)"])
      assert.lengthOf(yield* proxy.routes, 1)
      assert.lengthOf(yield* registry.deployments("shop", 10), 1)
    }).pipe(Effect.provide(node()))
  )

  it.effect("leaves what has ended by its policy, and what is no longer defined", () =>
    Effect.gen(function* () {
      const control = yield* withImages("web", "worker")
      yield* control.addImage("localhost/job:1", { exits: { afterMs: 100, code: 0 } })
      const web = { name: "web", image: "localhost/web:1" }
      const job = { name: "job", image: "localhost/job:1", restart: "no" }
      yield* deployed(specOf({ name: "shop", components: [web, job, { name: "worker", image: "localhost/worker:1" }] }))
      const spec = specOf({ name: "shop", components: [web, job] })
      assert.strictEqual((yield* synced([spec])).of("shop")?.outcome, "deployed")
      const before = yield* everything
      const { of } = yield* synced([spec])
      assert.deepStrictEqual(
        [of("shop")?.outcome, of("shop")?.plan.map(({ action, component }) => `${component} ${action}`)],
        ["unchanged", ["web unchanged", "job unchanged", "worker orphan"]]
      )
      assert.deepStrictEqual(yield* everything, before)
    }).pipe(Effect.provide(node()))
  )

  it.effect("skips a definition that was rolled back from and says so, also once it is stopped, until it changes", () =>
    Effect.gen(function* () {
      yield* withImages("web", "worker")
      yield* deployed(shop("1"))
      yield* deployed(shop("2"))
      const quiet = () => Effect.void
      const back = { service: "shop", to: undefined, noWait: false, wait: false, actor: "eve" }
      yield* waited(rollback(back, quiet, quiet))
      const before = yield* everything
      const { of } = yield* synced([shop("2")])
      assert.deepInclude(of("shop"), { outcome: "pinned", reason: "PINNED" })
      assert.include(of("shop")?.nextStep, "mcp deploy shop --force")
      assert.strictEqual((yield* synced([shop("2")], { dryRun: true })).of("shop")?.outcome, "pinned")
      assert.strictEqual((yield* synced([shop("2", inactive)])).of("shop")?.outcome, "pinned")
      assert.deepStrictEqual(yield* everything, before)
      // The file as it was before: that is no longer the definition that was rolled back from.
      assert.strictEqual((yield* synced([shop("1")])).of("shop")?.outcome, "unchanged")
      assert.strictEqual((yield* synced([shop("2")])).of("shop")?.outcome, "deployed")
    }).pipe(Effect.provide(node()))
  )

  it.effect("does not undo an undeploy while the definition says that nothing is to run", () =>
    Effect.gen(function* () {
      yield* withImages("web", "worker")
      yield* deployed(shop("1"))
      yield* undeploy("shop")
      const before = yield* everything
      assert.strictEqual((yield* synced([shop("1", inactive)])).of("shop")?.outcome, "unchanged")
      assert.deepStrictEqual(yield* everything, before)
      assert.strictEqual((yield* synced([shop("1")])).of("shop")?.outcome, "deployed")
    }).pipe(Effect.provide(node()))
  )

  it.effect("records what is not to run and was never there, as a deploy does", () =>
    Effect.gen(function* () {
      yield* withImages("web", "worker")
      assert.strictEqual((yield* synced([shop("1", inactive)])).of("shop")?.outcome, "deployed")
      assert.deepStrictEqual(yield* states, ["shop/web removed (stopped)", "shop/worker removed (stopped)"])
      assert.strictEqual((yield* synced([shop("1", inactive)])).of("shop")?.outcome, "unchanged")
      assert.strictEqual((yield* synced([shop("1")])).of("shop")?.outcome, "started")
      assert.deepStrictEqual(yield* states, ["shop/web running (running)", "shop/worker running (running)"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("one that is busy, is not ready or is not valid stops none of the others, and each is told why", () =>
    Effect.gen(function* () {
      yield* withImages("web", "worker", "blog", "wiki")
      yield* deployed(single("wiki"))
      const locks = yield* ServiceLocks
      const free = yield* Deferred.make<void>()
      const holding = yield* Effect.fork(locks.withLock("shop", "a deploy")(Deferred.await(free)))
      yield* Effect.yieldNow()
      const elsewhere = single("mail", "1", { node: "orion" })
      const specs = [shop("1"), single("wiki", "bad"), elsewhere, single("blog")]
      assert.deepStrictEqual((yield* synced(specs, { dryRun: true })).outcomes, [
        ...["blog deployed", "mail failed", "shop busy", "wiki deployed"]
      ])
      const { of, outcomes } = yield* synced(specs)
      assert.deepStrictEqual(outcomes, ["blog deployed", "mail failed", "shop busy", "wiki failed"])
      assert.deepInclude(of("shop"), { reason: "SERVICE_BUSY" })
      assert.include(of("shop")?.message, "a deploy of shop has been under way")
      assert.deepInclude(of("wiki"), { reason: "EXITED_1" })
      assert.isNotEmpty(of("wiki")?.deployment)
      assert.include(of("mail")?.message, "this is node rift, not orion")
      yield* Deferred.succeed(free, undefined)
      yield* Fiber.join(holding)
      // Back to what it was, whole.
      assert.includeMembers([...(yield* states)], ["blog/blog running (running)", "wiki/wiki running (running)"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("two definitions that claim one route are both refused, whichever comes first", () =>
    Effect.gen(function* () {
      yield* withImages("a", "b", "c")
      const claims = (name: string) =>
        specOf({
          name,
          components: [{ name, image: `localhost/${name}:1`, routes: [{ port: 443, hostname: "one.example" }] }]
        })
      const { outcomes } = yield* synced([claims("a"), claims("b"), single("c")])
      assert.deepStrictEqual(outcomes, ["a failed", "b failed", "c deployed"])
      assert.strictEqual((yield* Effect.flip(synced([single("c"), single("c")])))._tag, "SpecInvalid")
    }).pipe(Effect.provide(node()))
  )

  it.effect("one that does not start again fails with why, and what is desired stays so", () =>
    Effect.gen(function* () {
      const control = yield* withImages("blog", "wiki")
      yield* deployed(single("blog"))
      yield* deployed(single("wiki"))
      yield* stop({ service: "blog", component: undefined })
      yield* stop({ service: "wiki", component: undefined })
      yield* control.program("localhost/blog:1", { exits: { afterMs: 100, code: 3 } })
      const { of } = yield* synced([single("blog"), single("wiki")])
      assert.deepInclude(of("blog"), { outcome: "failed", reason: "EXITED_3", deployment: "" })
      assert.strictEqual(of("wiki")?.outcome, "started")
      assert.deepStrictEqual(
        (yield* (yield* Registry).components("blog")).map(({ desired }) => desired),
        ["running"]
      )
    }).pipe(Effect.provide(node()))
  )

  it.effect("a dry run tells what a sync would do, and changes nothing", () =>
    Effect.gen(function* () {
      yield* withImages("web", "worker", "blog", "wiki", "mail")
      yield* deployed(shop("1"))
      for (const name of ["blog", "wiki", "mail"]) yield* deployed(single(name))
      yield* stop({ service: "wiki", component: undefined })
      const specs = [shop("2"), single("blog"), single("wiki"), single("mail", "1", inactive)]
      const before = yield* everything
      const foreseen = yield* synced(specs, { dryRun: true })
      assert.deepStrictEqual(yield* everything, before)
      assert.deepStrictEqual(foreseen.outcomes, ["blog unchanged", "mail stopped", "shop deployed", "wiki started"])
      const done = yield* synced(specs)
      assert.deepStrictEqual(done.outcomes, foreseen.outcomes)
      const actions = ({ told }: typeof done) =>
        told.map(({ plan, service }) => [service, plan.map((p) => p.action)]).sort()
      assert.deepStrictEqual(actions(foreseen), actions(done))
    }).pipe(Effect.provide(node()))
  )

  it.effect("with the runtime away nothing is begun", () =>
    Effect.gen(function* () {
      const control = yield* withImages("blog")
      yield* control.setDown(true)
      const error = yield* Effect.flip(
        sync({ specs: [single("blog")], refused: [], dryRun: false, actor: "" }, () => Effect.void)
      )
      assert.strictEqual(error._tag, "RuntimeUnavailable")
      yield* control.setDown(false)
      assert.deepStrictEqual(yield* (yield* Registry).deployments("blog", 1), [])
    }).pipe(Effect.provide(node()))
  )

  it.effect("tells of containers that nothing explains, and of services that are in no definition", () =>
    Effect.gen(function* () {
      const control = yield* withImages("web", "worker", "blog")
      const runtime = yield* ContainerRuntime
      yield* deployed(shop("1"))
      yield* deployed(single("blog"))
      yield* control.addStranger("shop-cache")
      yield* control.addStranger("shopping-cart")
      yield* control.addStranger("mail-front")
      yield* control.addStranger("wiki")
      const made = yield* control.specOf("blog")
      assert.isDefined(made)
      if (made === undefined) return
      // A copy made by hand, labels and all, and one of another registry's.
      const labels = { ...made.labels, [Labels.deployment]: "01OTHER" }
      yield* runtime.create({ ...made, containerName: "blog.prev", labels })
      yield* runtime.create({ ...made, containerName: "old", labels: { ...labels, [Labels.registry]: "01ELSE" } })
      const { result } = yield* synced([shop("1"), single("mail", "bad")], { refused: ["wiki"] })
      assert.deepStrictEqual(
        result.unmanaged.map(
          ({ component, container, service }) => `${container.containerName}: ${service}/${component}`
        ),
        [
          "blog.prev: blog/blog",
          "mail-front: mail/front",
          "old: blog/blog",
          "shop-cache: shop/cache",
          "wiki: wiki/wiki"
        ]
      )
      assert.deepStrictEqual(result.notDefined, ["blog"])
      const names = (yield* control.containers).map((c) => c.containerName)
      assert.includeMembers(names, ["blog", "blog.prev", "old", "shop-cache", "wiki", "mail-front"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("services are brought along side by side, at most twice as many as there are cores", () =>
    Effect.gen(function* () {
      const names = ["a", "b", "c", "d", "e", "f"]
      yield* withImages(...names)
      const locks = yield* ServiceLocks
      const holders = Effect.map(
        Effect.forEach(names, locks.holder),
        (all) => all.filter((h) => h._tag === "Some").length
      )
      let most = 0
      const looking = yield* Effect.fork(
        Effect.forever(
          Effect.zipRight(
            Effect.map(holders, (now) => {
              most = Math.max(most, now)
            }),
            Effect.yieldNow()
          )
        )
      )
      yield* synced(names.map((name) => single(name)))
      yield* Fiber.interrupt(looking)
      assert.strictEqual(most, 4)
      // A start by an operator meanwhile finds the lock free again.
      yield* waited(start({ service: "a", component: undefined }))
    }).pipe(Effect.provide(node()))
  )
})
