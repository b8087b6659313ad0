import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, TestClock } from "effect"
import { FakeProxyControl } from "../../src/layers/FakeProxy.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { adopt } from "../../src/programs/adopt.ts"
import { deploy, planDeploy } from "../../src/programs/deploy.ts"
import { exportSpec } from "../../src/programs/exportSpec.ts"
import { history } from "../../src/programs/history.ts"
import { start, stop, undeploy } from "../../src/programs/lifecycle.ts"
import { statusOf } from "../../src/programs/report.ts"
import { superviseRestarts } from "../../src/programs/restarts.ts"
import { rollback } from "../../src/programs/rollback.ts"
import { unmanaged } from "../../src/programs/unmanaged.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"
import { violations } from "../support/invariants.ts"
import { leftBehind, oldRegistry } from "./foreign.ts"
import { asked, deployed, node, passTime, specOf } from "./support.ts"

const shop = (version: string, change: Record<string, unknown> = {}) =>
  specOf({
    name: "shop",
    comment: "sells things",
    components: [
      {
        name: "web",
        image: `localhost/web:${version}`,
        depends_on: ["db"],
        restart: "on-failure:3",
        health: { http: "/", port: 80 },
        routes: [{ port: 443, target: 80, hostname: "shop.example" }]
      },
      { name: "db", image: `localhost/db:${version}`, volumes: ["/srv/shop/db:/db"] },
      { name: "job", image: "localhost/job:1", restart: "no" }
    ],
    ...change
  })

const images = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  for (const version of ["1", "2"]) {
    yield* control.addImage(`localhost/web:${version}`)
    yield* control.addImage(`localhost/db:${version}`)
  }
  yield* control.addImage("localhost/job:1", { exits: { afterMs: 100, code: 0 } })
  yield* control.addImage("localhost/bad:1", { exits: { afterMs: 100, code: 1 } })
})

const adopted = (service: string, dryRun = false) => adopt({ service, dryRun, actor: "ada" }, () => Effect.void)

const actions = (spec: ReturnType<typeof shop>) =>
  Effect.map(planDeploy({ spec, components: [], force: false }), ({ components }) =>
    components.map(({ action, component }) => `${component}: ${action}`).sort()
  )

const unchanged = ["db: unchanged", "job: unchanged", "web: unchanged"]

/** What must be as before, touched by nobody. */
const asTheyAre = Effect.map(
  Effect.flatMap(FakeRuntimeControl, (control) => control.containers),
  (all) => all.map(({ containerName, id, startedAt, state }) => `${id} ${containerName} ${state} ${startedAt}`).sort()
)

const through = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* passTime(fiber)
    return yield* fiber
  })

describe("containers of a lost registry", () => {
  const left = Effect.gen(function* () {
    yield* images
    yield* leftBehind(shop("1"))
    yield* TestClock.adjust("1 second")
  })

  it.effect("are adopted untouched, and a plan of their definition says unchanged", () =>
    Effect.gen(function* () {
      yield* left
      const before = yield* asTheyAre
      const result = yield* adopted("shop")
      assert.deepStrictEqual(
        result.components.map((c) => `${c.component} ${c.container} ${c.source} ${c.observed}`),
        ["db shop-db label running", "job shop-job label exited", "web shop-web label running"]
      )
      assert.deepStrictEqual(result.warnings, [])
      assert.deepStrictEqual(yield* asTheyAre, before)
      assert.deepStrictEqual(yield* actions(shop("1")), unchanged)
      const registry = yield* Registry
      const rows = yield* registry.components("shop")
      assert.deepStrictEqual(
        rows.map((row) => [row.component, row.generation, row.desired]),
        [
          ["db", 3, "running"],
          ["job", 3, "running"],
          ["web", 3, "running"]
        ]
      )
      assert.strictEqual(Option.getOrThrow(yield* registry.service("shop")).spec.comment, "sells things")
      const ports = yield* registry.ports("shop")
      assert.deepStrictEqual(
        ports.map(({ component, port, route }) => [component, route, port]),
        [["web", "", 20001]]
      )
      assert.deepStrictEqual(yield* (yield* FakeProxyControl).routes, ["shop.example:443 -> 127.0.0.1:20001"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("are told and not adopted with --dry-run; adopting twice changes nothing", () =>
    Effect.gen(function* () {
      yield* left
      const registry = yield* Registry
      assert.strictEqual((yield* adopted("shop", true)).components.length, 3)
      assert.isTrue(Option.isNone(yield* registry.service("shop")))
      yield* adopted("shop")
      const rows = yield* registry.components("shop")
      assert.deepStrictEqual(yield* adopted("shop"), { components: [], warnings: [] })
      assert.deepStrictEqual(yield* registry.components("shop"), rows)
      assert.strictEqual((yield* registry.deployments("shop", 10)).length, 1)
    }).pipe(Effect.provide(node()))
  )

  it.effect("are replaced, rolled back to and undeployed like others, and nothing is left", () =>
    Effect.gen(function* () {
      yield* left
      const control = yield* FakeRuntimeControl
      yield* adopted("shop")
      const { result } = yield* deployed(shop("2"))
      assert.strictEqual(result.state, "succeeded")
      assert.deepStrictEqual((yield* asTheyAre).length, 3)
      assert.deepStrictEqual(yield* violations("shop", yield* control.networks), [])
      yield* through(
        rollback(
          { service: "shop", to: undefined, noWait: false, wait: false, actor: "ada" },
          () => Effect.void,
          () => Effect.void
        )
      )
      assert.deepStrictEqual(yield* actions(shop("1")), unchanged)
      assert.deepStrictEqual(yield* violations("shop", yield* control.networks), [])
      yield* through(undeploy("shop"))
      assert.deepStrictEqual([yield* control.containers, yield* control.networks], [[], []])
    }).pipe(Effect.provide(node()))
  )

  it.effect("come back whole when a deployment after the adopt fails", () =>
    Effect.gen(function* () {
      yield* left
      yield* adopted("shop")
      const before = yield* asTheyAre
      const broken = shop("1", {
        components: [
          { name: "web", image: "localhost/bad:1", routes: [{ port: 443, target: 80, hostname: "shop.example" }] },
          { name: "db", image: "localhost/db:2", volumes: ["/srv/shop/db:/db"] }
        ]
      })
      const { result } = yield* deployed(broken)
      assert.strictEqual(result.state, "rolled_back")
      const ids = (lines: ReadonlyArray<string>) => lines.map((line) => line.split(" ").slice(0, 3).join(" "))
      assert.deepStrictEqual(ids(yield* asTheyAre), ids(before))
      assert.deepStrictEqual(yield* actions(shop("1")), unchanged)
    }).pipe(Effect.provide(node()))
  )

  it.effect("of which one is gone are adopted without it, and a deploy makes it again", () =>
    Effect.gen(function* () {
      yield* left
      yield* (yield* ContainerRuntime).remove("shop-db")
      const { warnings } = yield* adopted("shop")
      assert.match(warnings.join(), /web depends on another: there is no component db/)
      assert.deepStrictEqual(yield* actions(shop("1")), ["db: create", "job: unchanged", "web: unchanged"])
      assert.strictEqual((yield* deployed(shop("1"))).result.state, "succeeded")
    }).pipe(Effect.provide(node()))
  )

  it.effect("give the newest word on the service as a whole where they differ, and that is said", () =>
    Effect.gen(function* () {
      yield* images
      const [web, db, job] = shop("1").components
      if (!web || !db || !job) throw new Error("three components")
      yield* leftBehind({ ...shop("1"), comment: "old", components: [web, db] })
      yield* TestClock.adjust("1 second")
      yield* leftBehind({ ...shop("1"), comment: "new", components: [job] })
      const { warnings } = yield* adopted("shop")
      assert.match(warnings.join(), /those of job, the newest, are taken/)
      assert.strictEqual(Option.getOrThrow(yield* (yield* Registry).service("shop")).spec.comment, "new")
    }).pipe(Effect.provide(node()))
  )
})

describe("what a deployment of a lost registry had set aside", () => {
  it.effect("gets its name back where nothing has it", () =>
    Effect.gen(function* () {
      yield* images
      yield* leftBehind(shop("1"))
      yield* (yield* ContainerRuntime).rename("shop-web", "shop-web.prev")
      const { warnings } = yield* adopted("shop")
      assert.deepStrictEqual(warnings, ["web: shop-web.prev is called shop-web again"])
      assert.include((yield* asTheyAre).join(), "shop-web running")
    }).pipe(Effect.provide(node()))
  )

  it.effect("stays where its component has a container, named with the command that removes it", () =>
    Effect.gen(function* () {
      yield* images
      const runtime = yield* ContainerRuntime
      const control = yield* FakeRuntimeControl
      yield* leftBehind(shop("1"))
      yield* control.addStranger("shop-web.prev", { labels: { "mcp.service": "shop", "mcp.component": "web" } })
      for (const _ of ["once", "twice"]) {
        const { warnings } = yield* adopted("shop")
        assert.match(warnings.join(), /shop-web\.prev stays unmanaged.*: podman rm --force shop-web\.prev/)
      }
      assert.strictEqual((yield* runtime.inspect("shop-web.prev")).state, "running")
    }).pipe(Effect.provide(node()))
  )
})

describe("containers made by hand", () => {
  const byHand = Effect.gen(function* () {
    yield* images
    const control = yield* FakeRuntimeControl
    yield* control.addStranger("blog", {
      ...{ image: "localhost/web:1", restart: "always", env: { MODE: "x" }, ports: ["127.0.0.1:8080:80"] },
      ...{
        network: { to: "front", aliases: [] },
        volumes: ["/data/blog:/data"],
        memory: 64 * 1024 ** 2,
        beyond: ["privileged", "device /dev/kvm"]
      }
    })
    yield* control.addStranger("blog-db", { image: "localhost/db:1", network: { to: "back", aliases: [] } })
    yield* control.addStranger("blogger")
  })

  it.effect("are found by their names; what a definition cannot say is told, and the export's plan is unchanged", () =>
    Effect.gen(function* () {
      yield* byHand
      const before = yield* asTheyAre
      const { components, warnings } = yield* adopted("blog")
      assert.deepStrictEqual(
        components.map((c) => `${c.component} ${c.container} ${c.source} ${c.image}`),
        ["blog blog inspect localhost/web:1", "db blog-db inspect localhost/db:1"]
      )
      assert.match(warnings.join("\n"), /blog: no key of a definition says privileged, device \/dev\/kvm/)
      assert.match(warnings.join("\n"), /blog: podman itself starts it again \(restart policy always\)/)
      assert.deepStrictEqual(yield* asTheyAre, before)
      const { spec, warnings: left } = yield* exportSpec("blog")
      assert.deepStrictEqual(yield* actions(spec), ["blog: unchanged", "db: unchanged"])
      assert.match(left.join(), /privileged/)
      const [blog, db] = spec.components
      assert.deepInclude(blog, {
        restart: "always",
        env: { MODE: "x" },
        network: "front",
        ports: ["127.0.0.1:8080:80"],
        memory: 64 * 1024 ** 2
      })
      assert.deepInclude(db, { restart: "no", network: "back" })
    }).pipe(Effect.provide(node()))
  )

  it.effect("that podman restarts itself are not restarted by the agent too, until they are replaced", () =>
    Effect.gen(function* () {
      yield* byHand
      const control = yield* FakeRuntimeControl
      yield* adopted("blog")
      yield* superviseRestarts
      yield* control.kill("blog", 1)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* (yield* ContainerRuntime).inspect("blog")).state, "exited")
      const [status] = yield* statusOf("blog")
      assert.strictEqual(status?.components.find((c) => c.component === "blog")?.podmanRestart, "always")
      const { spec } = yield* exportSpec("blog")
      yield* deployed(spec, { force: true })
      yield* control.kill("blog", 1)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* (yield* ContainerRuntime).inspect("blog")).state, "running")
    }).pipe(Effect.scoped, Effect.provide(node()))
  )

  it.effect("that do not run are adopted as stopped, and start again as they are", () =>
    Effect.gen(function* () {
      yield* byHand
      const runtime = yield* ContainerRuntime
      for (const name of ["blog", "blog-db"]) yield* runtime.stop(name, 0)
      const ids = (yield* asTheyAre).map((line) => line.split(" ")[0])
      yield* adopted("blog")
      const { spec } = yield* exportSpec("blog")
      assert.isFalse(spec.active)
      assert.deepStrictEqual(yield* actions(spec), ["blog: unchanged", "db: unchanged"])
      yield* through(start({ service: "blog", component: undefined }))
      assert.deepStrictEqual(
        (yield* asTheyAre).map((line) => line.split(" ")[0]),
        ids
      )
      yield* stop({ service: "blog", component: undefined })
    }).pipe(Effect.provide(node()))
  )

  it.effect("join a service of which some components are managed", () =>
    Effect.gen(function* () {
      yield* images
      yield* deployed(shop("1"))
      const control = yield* FakeRuntimeControl
      yield* control.addStranger("shop-extra", { image: "localhost/web:2" })
      const before = yield* asTheyAre
      yield* adopted("shop")
      assert.deepStrictEqual(yield* asTheyAre, before)
      const { spec } = yield* exportSpec("shop")
      assert.deepStrictEqual(yield* actions(spec), [
        ...unchanged.slice(0, 1),
        "extra: unchanged",
        ...unchanged.slice(1)
      ])
      const [latest] = yield* history("shop", 1)
      assert.deepInclude(latest?.row, { kind: "adopt", state: "succeeded", actor: "ada" })
    }).pipe(Effect.provide(node()))
  )

  it.effect("in the way of a deploy are refused with adopt as the next step, which makes way for it", () =>
    Effect.gen(function* () {
      yield* images
      const control = yield* FakeRuntimeControl
      yield* control.addStranger("shop-web", { image: "localhost/web:1" })
      const spec = shop("1", { components: [{ name: "web", image: "localhost/web:2" }] })
      assert.strictEqual((yield* Effect.flip(deploy(asked(spec), () => Effect.void)))._tag, "NameTaken")
      yield* adopted("shop")
      assert.strictEqual((yield* deployed(spec)).result.state, "succeeded")
      assert.strictEqual((yield* control.containers).length, 1)
    }).pipe(Effect.provide(node()))
  )
})

describe("an adopt is refused", () => {
  it.effect("for the agent's own names, for what is not there, and for what no deploy may be; nothing is written", () =>
    Effect.gen(function* () {
      yield* images
      const control = yield* FakeRuntimeControl
      const refusal = (service: string) => Effect.flip(adopted(service))
      yield* control.addStranger("mcp-agent", { image: "localhost/web:1" })
      assert.strictEqual((yield* refusal("mcp-agent"))._tag, "NameReserved")
      assert.strictEqual((yield* refusal("mcp"))._tag, "NameReserved")
      yield* control.addStranger("grafana", { image: "localhost/web:1" })
      assert.deepInclude(yield* refusal("grafan"), { _tag: "NothingToAdopt", nearest: "grafana" })
      yield* control.addStranger("spy", { image: "localhost/web:1", volumes: ["/srv:/host"] })
      assert.match((yield* refusal("spy")).message, /spy\.volumes\.0: \/srv would reach the agent's own files/)
      yield* control.addStranger("noname")
      assert.match((yield* refusal("noname")).message, /its image has no name/)
      assert.strictEqual((yield* Effect.flip(exportSpec("grafana")))._tag, "ServiceUnmanaged")
      assert.deepStrictEqual(yield* (yield* Registry).services, [])
    }).pipe(Effect.provide(node()))
  )
})

it.effect("unmanaged containers are told with the service and component that adopt would take them for", () =>
  Effect.gen(function* () {
    yield* images
    const control = yield* FakeRuntimeControl
    const runtime = yield* ContainerRuntime
    const lone = (name: string) => specOf({ name, components: [{ name: "x", image: "localhost/web:1" }] })
    yield* deployed(lone("a"))
    yield* deployed(lone("a-b"))
    for (const name of ["a-b-c", "a-d", "Odd_One", "alone"]) yield* control.addStranger(name)
    yield* control.addStranger("zed", {
      labels: { "mcp.service": "left", "mcp.component": "over", "mcp.registry": oldRegistry }
    })
    const found = yield* unmanaged(yield* runtime.list)
    assert.deepStrictEqual(
      found.map(({ container, place }) => `${container.containerName}: ${place?.service}/${place?.component}`),
      ["a-b-c: a-b/c", "a-d: a/d", "Odd_One: undefined/undefined", "alone: alone/alone", "zed: left/over"]
    )
    // A name that labels contradict stays with its labels, under its component's name.
    assert.match((yield* Effect.flip(adopted("left"))).message, /its image has no name/)
  }).pipe(Effect.provide(node()))
)
