import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { FakeProxyControl } from "../../src/layers/FakeProxy.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { FakeServiceDataControl } from "../../src/layers/FakeServiceData.ts"
import { FakeSnapshotStoreControl } from "../../src/layers/FakeSnapshotStore.ts"
import { deploy } from "../../src/programs/deploy.ts"
import { importData } from "../../src/programs/keptSnapshots.ts"
import { stop } from "../../src/programs/lifecycle.ts"
import { restore } from "../../src/programs/restore.ts"
import { Registry } from "../../src/services/Registry.ts"
import { SnapshotStore } from "../../src/services/SnapshotStore.ts"
import { temporaryFolder } from "../support/folder.ts"
import { dataNow, emptyNode, putData, restored, shopWithData, snapshotted } from "./snapshotting.ts"
import { asked, deployed, node, passTime, specOf } from "./support.ts"

const images = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  yield* control.addImage("localhost/web:1")
  yield* control.addImage("localhost/db:1")
})

/** A snapshot of "one", and data that is "two" by now. */
const ready = Effect.gen(function* () {
  yield* images
  yield* deployed(shopWithData())
  yield* putData("one")
  const { snapshot } = yield* snapshotted()
  yield* putData("two")
  return snapshot
})

const one = { "a.db": "one" }
const two = { "a.db": "two" }

const startTimes = Effect.map(
  Effect.flatMap(FakeRuntimeControl, (control) => control.containers),
  (all) => all.map(({ containerName, startedAt, state }) => `${containerName} ${state} ${startedAt}`)
)
const running = Effect.map(
  Effect.flatMap(FakeRuntimeControl, (control) => control.containers),
  (all) =>
    all
      .filter(({ state }) => state === "running")
      .map(({ containerName }) => containerName)
      .sort()
)
const events = Effect.map(
  Effect.flatMap(Registry, (registry) => registry.events({ service: "shop", since: 0, after: 0, limit: 100 })),
  (all) => all.filter(({ kind }) => kind === "restore").map(({ actor, to }) => `${to} by ${actor}`)
)
/** What a restore must never leave. */
const nothingLeft = Effect.gen(function* () {
  assert.deepStrictEqual(yield* (yield* FakeServiceDataControl).litter, [])
  assert.deepStrictEqual(yield* (yield* Registry).restores, [])
})

describe("a restore", () => {
  it.effect("verifies first, stops what runs, replaces the data and starts the same again", () =>
    Effect.gen(function* () {
      const snapshot = yield* ready
      const { events: told, result } = yield* restored()
      assert.deepStrictEqual([result.state, result.started], ["succeeded", ["db", "web"]])
      assert.deepStrictEqual(yield* dataNow, one)
      assert.deepStrictEqual(yield* running, ["shop-db", "shop-web"])
      const done = told.flatMap((event) =>
        event._tag === "Step" && event.state === "done" ? [`${event.step} ${event.component}`.trim()] : []
      )
      assert.deepStrictEqual(done, ["stage", "stop web", "stop db", "replace", "start db", "start web"])
      assert.deepInclude(told, { _tag: "Snapshot", snapshot })
      assert.deepStrictEqual(yield* events, ["begun by ada", "succeeded by ada"])
      yield* nothingLeft
    }).pipe(Effect.provide(node()))
  )

  it.effect("leaves stopped what was stopped, and desired states as they are", () =>
    Effect.gen(function* () {
      yield* ready
      yield* passTime(yield* Effect.fork(stop({ service: "shop", component: "web" })))
      const { result } = yield* restored()
      assert.deepStrictEqual(result.started, ["db"])
      assert.deepStrictEqual(yield* running, ["shop-db"])
      const desired = (yield* (yield* Registry).components("shop")).map((row) => `${row.component} ${row.desired}`)
      assert.deepStrictEqual(desired, ["db running", "web stopped"])
      assert.deepStrictEqual(yield* dataNow, one)
    }).pipe(Effect.provide(node()))
  )

  it.effect(
    "starts also what cannot run on its data and waits for its next start, and goes back when it still does not",
    () =>
      Effect.gen(function* () {
        yield* ready
        const control = yield* FakeRuntimeControl
        let fails = true
        yield* control.program("localhost/web:1", () =>
          fails ? { exits: { afterMs: 200, code: 3 }, logs: ["cannot read a.db"] } : {}
        )
        yield* control.kill("shop-web", 3)
        const before = yield* restored()
        assert.strictEqual(before.result.state, "rolled_back")
        assert.deepStrictEqual([before.result.failure?.component, before.result.failure?.reason], ["web", "EXITED_3"])
        assert.deepStrictEqual(yield* dataNow, two)
        fails = false
        const { result } = yield* restored()
        assert.deepStrictEqual([result.state, result.started], ["succeeded", ["db", "web"]])
        assert.deepStrictEqual(yield* running, ["shop-db", "shop-web"])
        assert.deepStrictEqual(yield* dataNow, one)
      }).pipe(Effect.provide(node()))
  )

  it.effect("of a damaged snapshot, or of none, is refused and touches nothing", () =>
    Effect.gen(function* () {
      const snapshot = yield* ready
      const before = yield* startTimes
      yield* (yield* FakeSnapshotStoreControl).damage(snapshot.id)
      for (const [change, tags] of [
        [{}, ["SnapshotDamaged", "ArchiveUnusable"]],
        [{ snapshot: "01ARZ3NDEKTSV4RRFFQ69G5FAV" }, ["SnapshotNotFound"]],
        [{ service: "ship" }, ["ServiceNotFound"]],
        [{ service: "mcp" }, ["NameReserved"]]
      ] as const) {
        const error = yield* Effect.flip(restored(change))
        assert.include(tags, error._tag)
      }
      assert.deepStrictEqual(yield* dataNow, two)
      assert.deepStrictEqual(yield* startTimes, before)
      yield* nothingLeft
    }).pipe(Effect.provide(node()))
  )

  it.effect("whose data the service does not become ready on goes back to the data before, and says why", () =>
    Effect.gen(function* () {
      yield* ready
      const control = yield* FakeRuntimeControl
      let starts = 0
      yield* control.program("localhost/web:1", () =>
        ++starts === 1 ? { exits: { afterMs: 200, code: 3 }, logs: ["cannot read a.db"] } : {}
      )
      const { result } = yield* restored()
      assert.strictEqual(result.state, "rolled_back")
      assert.deepStrictEqual([result.failure?.component, result.failure?.reason], ["web", "EXITED_3"])
      assert.deepStrictEqual(result.failure?.lastLogs, ["cannot read a.db"])
      assert.deepStrictEqual(yield* running, ["shop-db", "shop-web"])
      assert.deepStrictEqual(yield* dataNow, two)
      assert.deepStrictEqual(yield* events, ["begun by ada", "rolled_back by ada"])
      yield* nothingLeft
    }).pipe(Effect.provide(node()))
  )

  it.effect("that cannot put the new data in place has the old data, and what ran runs", () =>
    Effect.gen(function* () {
      yield* ready
      yield* (yield* FakeServiceDataControl).failReplace("the disk says no")
      const { result } = yield* restored()
      assert.strictEqual(result.state, "rolled_back")
      assert.include(result.failure?.message ?? "", "the disk says no")
      assert.deepStrictEqual(yield* dataNow, two)
      assert.deepStrictEqual(yield* running, ["shop-db", "shop-web"])
      yield* nothingLeft
    }).pipe(Effect.provide(node()))
  )

  it.effect("that goes back waits only so long for what ran before, and leads its routes to it", () => {
    let answers = true
    const probe = () => ({ healthy: answers, detail: "refused" })
    return Effect.gen(function* () {
      yield* images
      const spec = specOf({
        name: "shop",
        snapshot: { method: "full" },
        components: [
          { name: "web", image: "localhost/web:1", routes: [{ port: 443, target: 80, hostname: "shop.example" }] }
        ]
      })
      yield* deployed(spec)
      yield* putData("one")
      yield* snapshotted()
      yield* putData("two")
      const routes = yield* (yield* FakeProxyControl).routes
      yield* (yield* FakeServiceDataControl).failReplace("the disk says no")
      answers = false
      const { result } = yield* restored()
      assert.strictEqual(result.state, "rolled_back")
      assert.isBelow(result.durationMs, 15_000)
      assert.deepStrictEqual(yield* running, ["shop-web"])
      assert.deepStrictEqual(yield* (yield* FakeProxyControl).routes, routes)
      assert.strictEqual(routes.length, 1)
      assert.deepStrictEqual(yield* dataNow, two)
      yield* nothingLeft
    }).pipe(Effect.provide(node(probe)))
  })

  it.effect("ends with its caller until it touches the service, and goes on to its end after that", () =>
    Effect.gen(function* () {
      yield* ready
      const early = yield* Effect.fork(
        restore({ service: "shop", snapshot: undefined, actor: "ada", wait: false }, () => Effect.void, Effect.never)
      )
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(early)
      assert.deepStrictEqual(yield* dataNow, two)
      assert.deepStrictEqual(yield* running, ["shop-db", "shop-web"])
      yield* nothingLeft
    }).pipe(Effect.provide(node()))
  )

  it.effect("holds all others off, and a restart by the agent too", () =>
    Effect.gen(function* () {
      yield* ready
      const go = yield* Deferred.make<void>()
      const held = yield* Effect.fork(restored({}, Deferred.await(go)))
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow()
      const busy = yield* Effect.flip(deploy(asked(shopWithData()), () => Effect.void))
      assert.strictEqual(busy._tag, "ServiceBusy")
      assert.include(busy.message, "a restore of shop")
      yield* Deferred.succeed(go, undefined)
      yield* passTime(held)
      assert.strictEqual((yield* held).result.state, "succeeded")
    }).pipe(Effect.provide(node()))
  )
})

/** The bytes of the newest snapshot. */
const archive = Effect.gen(function* () {
  const store = yield* SnapshotStore
  const [newest] = yield* store.list("shop")
  if (newest === undefined) return yield* Effect.dieMessage("no snapshot")
  return Buffer.concat([...(yield* Stream.runCollect(store.read(newest)))])
})

it.effect("on a node that does not know the service its data is put where nothing is yet, and nowhere else", () => {
  const filesRoot = temporaryFolder()
  return Effect.gen(function* () {
    const bytes = yield* Effect.provide(Effect.zipRight(ready, archive), node())
    const { snapshot } = yield* importData("shop", "ada", Stream.succeed(bytes))
    const { result } = yield* restored({ snapshot: snapshot.id })
    assert.deepStrictEqual([result.state, result.started], ["succeeded", []])
    assert.deepStrictEqual(yield* dataNow, one)
    yield* nothingLeft
    // Files of which the registry knows nothing may be anybody's.
    mkdirSync(join(filesRoot, "shop"))
    writeFileSync(join(filesRoot, "shop/a"), "")
    assert.strictEqual((yield* Effect.flip(restored()))._tag, "DataInTheWay")
  }).pipe(Effect.provide(emptyNode(filesRoot)))
})
