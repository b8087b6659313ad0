import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import type { ServiceSpec } from "../../src/domain/Spec.ts"
import { FakeProxyControl } from "../../src/layers/FakeProxy.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { start, stop, undeploy } from "../../src/programs/lifecycle.ts"
import { type PurgeRequest, purge } from "../../src/programs/purge.ts"
import { rollback } from "../../src/programs/rollback.ts"
import { ServiceLocks } from "../../src/programs/ServiceLocks.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"
import { violations } from "../support/invariants.ts"
import { deployed, node, shop, specOf } from "./support.ts"
import { everything, single, waited, withImages } from "./syncing.ts"

const purged = (defined: ReadonlyArray<ServiceSpec>, change: Partial<PurgeRequest> = {}) =>
  Effect.map(
    waited(
      purge({
        ...{ service: undefined, component: undefined, keepContainers: false, dryRun: false, may: () => true },
        defined: defined.map(({ components, name }) => ({ name, components: components.map((c) => c.name) })),
        ...change
      })
    ),
    (entries) =>
      entries.map(
        ({ component, observed, purged, removed, service, why }) =>
          `${service}${component === undefined ? "" : `/${component}`} ${observed}: ${purged ? "purged" : why}${removed === undefined ? "" : ` with ${removed}`}`
      )
  )

const web = { name: "web", image: "localhost/web:1", routes: [{ port: 443, hostname: "shop.example" }] }
const old = { name: "old", image: "localhost/old:1", routes: [{ name: "old", port: 443, hostname: "old.example" }] }
const both = specOf({ name: "shop", components: [web, old] })
const webOnly = specOf({ name: "shop", components: [web] })

/** A service with a component that its definition has no more. */
const withOrphan = Effect.gen(function* () {
  const control = yield* withImages("web", "old")
  yield* deployed(both)
  yield* deployed(webOnly)
  return control
})

const remove = (container: string) => Effect.flatMap(ContainerRuntime, (runtime) => runtime.remove(container))
const components = Effect.map(
  Effect.flatMap(Registry, (registry) => registry.components()),
  (rows) => rows.map(({ component, service }) => `${service}/${component}`)
)
const nothingLeftOver = Effect.gen(function* () {
  const networks = yield* (yield* FakeRuntimeControl).networks
  assert.deepStrictEqual(yield* violations("shop", networks), [])
})

describe("a purge", () => {
  it.effect("drops what is gone and in no definition, its ports too; said twice it changes nothing", () =>
    Effect.gen(function* () {
      yield* withOrphan
      yield* remove("shop-old")
      const before = yield* everything
      assert.deepStrictEqual(yield* purged([webOnly], { dryRun: true }), ["shop/old removed: purged"])
      assert.deepStrictEqual(yield* everything, before)
      assert.deepStrictEqual(yield* purged([webOnly]), ["shop/old removed: purged"])
      assert.deepStrictEqual(yield* components, ["shop/web"])
      yield* nothingLeftOver
      const after = yield* everything
      assert.deepStrictEqual(yield* purged([webOnly]), [])
      assert.deepStrictEqual(yield* purged([webOnly], { service: "shop", component: "old" }), [])
      assert.deepStrictEqual(yield* everything, after)
    }).pipe(Effect.provide(node()))
  )

  it.effect("refuses what runs, is stopped, or is about to be started again, and says what to do", () =>
    Effect.gen(function* () {
      const control = yield* withOrphan
      const registry = yield* Registry
      assert.deepStrictEqual(yield* purged([webOnly]), ["shop/old running: its container runs"])
      yield* stop({ service: "shop", component: "old" })
      assert.deepStrictEqual(yield* purged([]), [
        "shop/old stopped: its container is stopped, and could be started again",
        "shop/web running: its container runs"
      ])
      yield* control.kill("shop-web", 1)
      const [row] = yield* registry
        .components("shop")
        .pipe(Effect.map((all) => all.filter((c) => c.component === "web")))
      const restart = { service: "shop", component: "web", containerId: row?.containerId ?? "", nextAt: 60_000 }
      yield* registry.putRestart({ ...restart, restarts: 1, failures: 1, delayMs: 1000, endedAt: 0, rests: false })
      assert.deepStrictEqual(yield* purged([], { service: "shop", component: "web" }), [
        "shop/web exited: its container is started again at 1970-01-01T00:01:00.000Z"
      ])
      const names = (yield* control.containers).map((c) => c.containerName)
      assert.deepStrictEqual(names.sort(), ["shop-old", "shop-web"])
      assert.deepStrictEqual(yield* components, ["shop/old", "shop/web"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("goes by the runtime now, not by what the registry remembers", () =>
    Effect.gen(function* () {
      const control = yield* withOrphan
      const registry = yield* Registry
      yield* registry.setObserved("shop", "old", "removed")
      assert.deepStrictEqual(yield* purged([webOnly]), ["shop/old running: its container runs"])
      yield* control.setDown(true)
      for (const dryRun of [true, false]) {
        assert.strictEqual((yield* Effect.flip(purged([], { dryRun })))._tag, "RuntimeUnavailable")
      }
      yield* control.setDown(false)
      assert.deepStrictEqual(yield* components, ["shop/old", "shop/web"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("removes a container that has ended with its entry, unless containers are to be kept", () =>
    Effect.gen(function* () {
      const control = yield* withOrphan
      yield* control.kill("shop-old", 0)
      assert.deepStrictEqual(yield* purged([webOnly], { keepContainers: true }), [
        "shop/old exited: its container has ended and is still there"
      ])
      assert.deepStrictEqual(yield* components, ["shop/old", "shop/web"])
      assert.deepStrictEqual(yield* purged([webOnly]), ["shop/old exited: purged with shop-old"])
      assert.deepStrictEqual(
        (yield* control.containers).map((c) => c.containerName),
        ["shop-web"]
      )
      yield* nothingLeftOver
    }).pipe(Effect.provide(node()))
  )

  it.effect("leaves what a definition wants, and says so where it is asked for by name", () =>
    Effect.gen(function* () {
      yield* withImages("web", "worker")
      yield* deployed(shop("1"))
      yield* remove("shop-web")
      assert.deepStrictEqual(yield* purged([shop("1")]), [])
      assert.deepStrictEqual(yield* purged([shop("1")], { service: "shop", component: "web" }), [
        "shop/web removed: it is in its definition"
      ])
      assert.deepStrictEqual(yield* components, ["shop/web", "shop/worker"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("drops a service of which nothing is left, with its routes, its bridge and its spec", () =>
    Effect.gen(function* () {
      const control = yield* withOrphan
      const registry = yield* Registry
      yield* control.kill("shop-old", 1)
      yield* remove("shop-web")
      assert.isNotEmpty(yield* control.networks)
      assert.deepStrictEqual(yield* purged([], { dryRun: true }), [
        ...["shop/old exited: purged with shop-old", "shop/web removed: purged", "shop removed: purged"]
      ])
      assert.deepStrictEqual(yield* purged([]), [
        ...["shop/old exited: purged with shop-old", "shop/web removed: purged", "shop removed: purged"]
      ])
      assert.isTrue(Option.isNone(yield* registry.service("shop")))
      assert.deepStrictEqual(yield* control.containers, [])
      assert.deepStrictEqual(yield* control.networks, [])
      assert.deepStrictEqual(yield* registry.ports("shop"), [])
      assert.deepStrictEqual(yield* (yield* FakeProxyControl).routes, [])
      yield* nothingLeftOver
      assert.deepStrictEqual(yield* purged([]), [])
      assert.deepStrictEqual(yield* purged([], { service: "shop" }), [])
    }).pipe(Effect.provide(node()))
  )

  it.effect("of a spec that was not deployed since, a start does not bring back what was purged", () =>
    Effect.gen(function* () {
      yield* withImages("web", "old")
      yield* deployed(both)
      yield* remove("shop-old")
      assert.deepStrictEqual(yield* purged([webOnly]), ["shop/old removed: purged"])
      yield* nothingLeftOver
      yield* waited(start({ service: "shop", component: undefined }))
      assert.deepStrictEqual(yield* components, ["shop/web"])
      assert.strictEqual((yield* deployed(webOnly)).result.deployment, "", "the registry has what the definition says")
    }).pipe(Effect.provide(node()))
  )

  it.effect(
    "never takes the last of a service that is in a definition: what it was rolled back from is kept with it",
    () =>
      Effect.gen(function* () {
        yield* withImages("a", "b")
        const one = (name: string, version: string) =>
          specOf({ name: "shop", components: [{ name, image: `localhost/${name}:${version}` }] })
        yield* deployed(one("a", "1"))
        yield* deployed(one("a", "2"))
        const quiet = () => Effect.void
        const back = { service: "shop", to: undefined, noWait: false, wait: false, actor: "eve" }
        yield* waited(rollback(back, quiet, quiet))
        yield* remove("shop-a")
        assert.deepStrictEqual(yield* purged([one("b", "1")]), [
          "shop/a removed: the registry has nothing else of shop"
        ])
        assert.isDefined(Option.getOrThrow(yield* (yield* Registry).service("shop")).pinnedFrom)
      }).pipe(Effect.provide(node()))
  )

  it.effect("is limited to its target; one that never was is an error that names what there is", () =>
    Effect.gen(function* () {
      yield* withImages("web", "old", "blog")
      yield* deployed(both)
      yield* deployed(single("blog"))
      for (const name of ["shop-web", "shop-old", "blog"]) yield* remove(name)
      const unknown = yield* Effect.flip(purged([], { service: "blgo" }))
      assert.deepInclude(unknown, { _tag: "ServiceNotFound", nearest: "blog" })
      const none = yield* Effect.flip(purged([], { service: "shop", component: "cache" }))
      assert.deepInclude(none, { _tag: "ComponentNotFound", known: ["old", "web"] })
      assert.deepStrictEqual(yield* purged([], { service: "shop", component: "old" }), ["shop/old removed: purged"])
      assert.deepStrictEqual(yield* components, ["blog/blog", "shop/web"])
      assert.deepStrictEqual(yield* purged([], { may: (service) => service === "blog" }), [
        ...["blog/blog removed: purged", "blog removed: purged"]
      ])
      yield* undeploy("shop")
      assert.deepStrictEqual(yield* purged([], { service: "shop" }), [])
    }).pipe(Effect.provide(node()))
  )

  it.effect("passes over a service that is busy, and says so; asked for by name that is an error", () =>
    Effect.gen(function* () {
      yield* withImages("web", "old", "blog")
      yield* deployed(both)
      yield* deployed(single("blog"))
      for (const name of ["shop-web", "shop-old", "blog"]) yield* remove(name)
      const locks = yield* ServiceLocks
      const held = locks.withLock("shop", "a deploy")
      for (const dryRun of [true, false]) {
        const entries = yield* held(purged([], { dryRun }))
        assert.match(entries.at(-1) ?? "", /^shop unknown: a deploy of shop has been under way since /)
        assert.deepStrictEqual(entries.slice(0, -1), ["blog/blog removed: purged", "blog removed: purged"])
      }
      const error = yield* Effect.flip(held(purged([], { service: "shop" })))
      assert.strictEqual(error._tag, "ServiceBusy")
      assert.deepStrictEqual(yield* components, ["shop/old", "shop/web"])
    }).pipe(Effect.provide(node()))
  )
})
