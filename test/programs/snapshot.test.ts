import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream, TestClock } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { FakeServiceDataControl } from "../../src/layers/FakeServiceData.ts"
import { FakeSnapshotStoreControl } from "../../src/layers/FakeSnapshotStore.ts"
import { createSnapshot } from "../../src/programs/createSnapshot.ts"
import { explain } from "../../src/programs/explain.ts"
import {
  type ExportEvent,
  exportData,
  importData,
  listSnapshots,
  removeSnapshot
} from "../../src/programs/keptSnapshots.ts"
import { stop, undeploy } from "../../src/programs/lifecycle.ts"
import { Registry } from "../../src/services/Registry.ts"
import { SnapshotStore } from "../../src/services/SnapshotStore.ts"
import { emptyNode, putData, shopWithData, snapshotted } from "./snapshotting.ts"
import { deployed, node, passTime, until } from "./support.ts"

const ready = (snapshot?: Record<string, unknown>) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    yield* control.addImage("localhost/web:1", {
      exec: (argv) =>
        argv[0] === "dump" ? { exitCode: 0, output: "dumped\n" } : { exitCode: 3, output: "one\ntwo\nno space\n" }
    })
    yield* control.addImage("localhost/db:1")
    yield* deployed(shopWithData(snapshot))
    yield* putData("one")
  })

const kept = Effect.flatMap(SnapshotStore, (store) => store.list("shop"))
const events = Effect.map(
  Effect.flatMap(Registry, (registry) => registry.events({ service: "shop", since: 0, after: 0, limit: 100 })),
  (all) => all.filter(({ kind }) => kind === "snapshot").map(({ actor, to }) => `${to} by ${actor}`)
)

const of = { service: "shop", actor: "ada", wait: false, keep: undefined }

describe("a snapshot", () => {
  it.effect("is of all files, of the known ones, or of all after the definition's own command", () =>
    Effect.gen(function* () {
      for (const [snapshot, method] of [
        [undefined, "known"],
        [{ method: "full" }, "full"],
        [{ method: "exec", cmd: ["dump"], component: "web" }, "exec"]
      ] as const) {
        yield* Effect.gen(function* () {
          yield* ready(snapshot)
          if (snapshot === undefined) {
            const { snapshot: _, ...spec } = shopWithData()
            yield* deployed(spec)
          }
          const { events, snapshot: made } = yield* snapshotted()
          assert.deepStrictEqual([made.method, made.files, made.actor, made.node], [method, 1, "ada", "rift"])
          assert.deepStrictEqual(
            events.filter(({ _tag }) => _tag === "Command"),
            method === "exec" ? [{ _tag: "Command", component: "web" }] : []
          )
          assert.strictEqual(events.at(-1)?._tag, "Made")
        }).pipe(Effect.provide(node()))
      }
    })
  )

  it.effect("is not made when the definition's command fails or its component does not run, and says why", () =>
    Effect.gen(function* () {
      yield* ready({ method: "exec", cmd: ["other"], component: "web" })
      const failed = yield* Effect.flip(createSnapshot(of, () => Effect.void))
      assert.strictEqual(failed._tag, "SnapshotCommandFailed")
      assert.include(failed.message, "exit code 3; it wrote last: one | two | no space")
      const fiber = yield* Effect.fork(stop({ service: "shop", component: "web" }))
      yield* passTime(fiber)
      const stopped = yield* Effect.flip(createSnapshot(of, () => Effect.void))
      assert.include(stopped.message, "its container does not run: it is stopped")
      assert.deepStrictEqual(yield* kept, [])
      assert.deepStrictEqual(yield* events, ["failed by ada", "failed by ada"])
      // It is the command's failure, not the node's: what ran runs.
      const states = (yield* (yield* FakeRuntimeControl).containers).map(({ state }) => state)
      assert.include(states, "running")
    }).pipe(Effect.provide(node()))
  )

  it.effect("names what it left out, and is whole otherwise", () =>
    Effect.gen(function* () {
      yield* ready()
      yield* (yield* FakeServiceDataControl).leaveOut([{ path: "a.sock", why: "is a socket" }])
      const { events, snapshot } = yield* snapshotted()
      assert.deepInclude(events, { _tag: "LeftOut", leftOut: { path: "a.sock", why: "is a socket" } })
      assert.deepStrictEqual(snapshot.leftOut, [{ path: "a.sock", why: "is a socket" }])
    }).pipe(Effect.provide(node()))
  )

  it.effect("takes the service's lock, and waits for it when asked", () =>
    Effect.gen(function* () {
      yield* ready()
      const go = yield* Deferred.make<void>()
      yield* (yield* FakeServiceDataControl).holdUp(Deferred.await(go))
      const first = yield* Effect.fork(snapshotted())
      yield* until((yield* FakeSnapshotStoreControl).partials, (n) => n === 1)
      const busy = yield* Effect.flip(createSnapshot(of, () => Effect.void))
      assert.strictEqual(busy._tag, "ServiceBusy")
      assert.include(busy.message, "a snapshot of shop")
      const told: Array<string> = []
      const second = yield* Effect.fork(
        createSnapshot({ ...of, wait: true }, (event) => Effect.sync(() => void told.push(event._tag)))
      )
      yield* until(
        Effect.sync(() => told.length),
        (n) => n > 0
      )
      assert.strictEqual(told[0], "Waiting")
      yield* Deferred.succeed(go, undefined)
      yield* first
      yield* second
      assert.strictEqual((yield* kept).length, 2)
    }).pipe(Effect.provide(node()))
  )

  it.effect("ends with its caller and leaves nothing; the lock is free again", () =>
    Effect.gen(function* () {
      yield* ready()
      const store = yield* FakeSnapshotStoreControl
      yield* (yield* FakeServiceDataControl).holdUp(Effect.never)
      const fiber = yield* Effect.fork(createSnapshot(of, () => Effect.void))
      yield* until(store.partials, (n) => n === 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* store.partials, 0)
      assert.deepStrictEqual(yield* kept, [])
      yield* (yield* FakeServiceDataControl).holdUp(Effect.void)
      yield* snapshotted()
    }).pipe(Effect.provide(node()))
  )

  it.effect("on a full disk is not kept, and those before it are whole", () =>
    Effect.gen(function* () {
      yield* ready()
      const { snapshot } = yield* snapshotted()
      const store = yield* FakeSnapshotStoreControl
      yield* store.fillDisk(true)
      const full = yield* Effect.flip(createSnapshot({ ...of, keep: 1 }, () => Effect.void))
      assert.deepStrictEqual([full._tag, explain(full).reason], ["SnapshotDiskFull", "DISK_FULL"])
      assert.deepStrictEqual(yield* kept, [snapshot])
      assert.strictEqual(yield* store.partials, 0)
    }).pipe(Effect.provide(node()))
  )

  it.effect("with --keep takes the place of the oldest ones, and of no other service's", () =>
    Effect.gen(function* () {
      yield* ready()
      const ids: Array<string> = []
      for (let i = 0; i < 4; i++) ids.push((yield* snapshotted()).snapshot.id)
      const { events: told, snapshot } = yield* snapshotted({ keep: 2 })
      assert.deepStrictEqual(
        (yield* kept).map(({ id }) => id),
        [snapshot.id, ids.at(-1) ?? ""]
      )
      const made = told.find((event) => event._tag === "Made")
      assert.deepStrictEqual(made?.removed, ids.slice(0, 3).reverse())
    }).pipe(Effect.provide(node()))
  )
})

it.effect("a snapshot that --keep was said with stays, whatever the clock says", () =>
  Effect.gen(function* () {
    yield* ready()
    yield* TestClock.adjust("1 hour")
    yield* snapshotted()
    yield* TestClock.setTime(0)
    const { snapshot } = yield* snapshotted({ keep: 1 })
    assert.deepStrictEqual(
      (yield* kept).map(({ id }) => id),
      [snapshot.id]
    )
  }).pipe(Effect.provide(node()))
)

describe("the snapshots of a service", () => {
  it.effect(
    "are listed also when the registry does not know it any more, and a name that matches nothing is an error",
    () =>
      Effect.gen(function* () {
        yield* ready()
        const { snapshot } = yield* snapshotted()
        const gone = yield* Effect.fork(undeploy("shop"))
        yield* passTime(gone)
        assert.deepStrictEqual(yield* listSnapshots("shop"), [snapshot])
        assert.deepStrictEqual(yield* listSnapshots(undefined), [snapshot])
        for (const name of ["ship", "../shop", "", "mcp"]) {
          const error = yield* Effect.flip(listSnapshots(name))
          assert.include(["ServiceNotFound", "NameReserved"], error._tag, name)
        }
      }).pipe(Effect.provide(node()))
  )

  it.effect("are removed one by one, and that is recorded", () =>
    Effect.gen(function* () {
      yield* ready()
      const { snapshot } = yield* snapshotted()
      const missing = yield* Effect.flip(removeSnapshot("shop", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "ada"))
      assert.strictEqual(missing._tag, "SnapshotNotFound")
      yield* removeSnapshot("shop", snapshot.id, "bob")
      assert.deepStrictEqual(yield* kept, [])
      assert.deepStrictEqual(yield* events, ["made by ada", "removed by bob"])
    }).pipe(Effect.provide(node()))
  )
})

/** All that is told of an export. */
const exported = (snapshot: string | undefined) =>
  Effect.gen(function* () {
    const told: Array<ExportEvent> = []
    yield* exportData({ service: "shop", snapshot, actor: "ada", wait: false }, (event) =>
      Effect.sync(() => void told.push(event))
    )
    return { told, bytes: told.flatMap((event) => (event._tag === "Bytes" ? [event.bytes] : [])) }
  })

describe("an archive that is given away", () => {
  it.effect("is a kept snapshot or one made now, and another node takes it in as the same snapshot", () =>
    Effect.gen(function* () {
      yield* ready()
      const { snapshot } = yield* snapshotted()
      const stored = yield* exported(snapshot.id)
      const fresh = yield* exported(undefined)
      assert.deepStrictEqual([stored.told[0]?._tag, stored.told.at(-1)?._tag], ["Start", "End"])
      assert.strictEqual((yield* kept).length, 1)
      const again = yield* importData("shop", "bob", Stream.fromIterable(stored.bytes))
      assert.deepStrictEqual(again, { snapshot, known: true })
      yield* Effect.gen(function* () {
        const taken = yield* importData("shop", "bob", Stream.fromIterable(stored.bytes))
        const { actor, createdAt, id, node: made, sha256 } = taken.snapshot
        assert.deepStrictEqual(
          [taken.known, id, sha256, createdAt],
          [false, snapshot.id, snapshot.sha256, snapshot.createdAt]
        )
        assert.deepStrictEqual([actor, made], ["bob", "rift"])
        yield* importData("shop", "bob", Stream.fromIterable(fresh.bytes))
        assert.strictEqual((yield* kept).length, 2)
        for (const [service, bytes, tag] of [
          ["other", stored.bytes, "SnapshotForeign"],
          ["shop", [Buffer.from("PK")], "ArchiveUnusable"],
          ["../shop", stored.bytes, "ServiceNotFound"],
          ["mcp", stored.bytes, "NameReserved"]
        ] as const) {
          const error = yield* Effect.flip(importData(service, "bob", Stream.fromIterable(bytes)))
          assert.strictEqual(error._tag, tag)
        }
        assert.strictEqual((yield* kept).length, 2)
      }).pipe(Effect.provide(emptyNode()))
    }).pipe(Effect.provide(node()))
  )
})
