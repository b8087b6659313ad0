import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { DiskFull } from "../../src/services/RuntimeError.ts"
import { deployed, node, shop } from "./support.ts"

/** A node whose disk the test fills. */
const withDisk = () => {
  const disk = { free: 2 ** 39 }
  return { disk, layer: node(undefined, () => disk.free) }
}

const images = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  for (const name of ["web", "worker"]) {
    yield* control.addImage(`localhost/${name}:1`)
    yield* control.addRemoteImage(`localhost/${name}:2`)
  }
  return control
})

describe("a node whose disk is full", () => {
  it.effect("refuses what would make a container before anything is pulled or stopped, once for each disk", () => {
    const { disk, layer } = withDisk()
    return Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      disk.free = 60 * 2 ** 20
      const before = yield* control.containers
      const error = yield* Effect.flip(deployed(shop("2")))
      assert.strictEqual(error._tag, "DiskLow")
      assert.match(error.message, /60 MiB are free at \/var\/lib\/containers\/storage, and a deployment wants 64 MiB/)
      assert.deepStrictEqual(yield* control.containers, before)
      assert.notInclude(yield* control.calls, "pull localhost/web:2")
    }).pipe(Effect.provide(layer))
  })

  it.effect("still deploys what changes nothing, and what only stops", () => {
    const { disk, layer } = withDisk()
    return Effect.gen(function* () {
      yield* images
      yield* deployed(shop("1"))
      disk.free = 0
      assert.strictEqual((yield* deployed(shop("1"))).result.state, "succeeded")
      assert.strictEqual((yield* deployed(shop("1", { active: false }))).result.state, "succeeded")
    }).pipe(Effect.provide(layer))
  })

  it.effect("goes back when it fills while a container is made, and says so", () => {
    const { layer } = withDisk()
    return Effect.gen(function* () {
      const control = yield* images
      yield* deployed(shop("1"))
      yield* control.failNext("create", new DiskFull({ operation: "create", subject: "shop-web" }))
      const { result } = yield* deployed(shop("2"))
      assert.strictEqual(result.state, "rolled_back")
      assert.strictEqual(result.failure?.reason, "DISK_FULL")
      const running = (yield* control.containers).map((c) => `${c.containerName} ${c.image} ${c.state}`)
      assert.deepStrictEqual(running.sort(), [
        "shop-web localhost/web:1 running",
        "shop-worker localhost/worker:1 running"
      ])
    }).pipe(Effect.provide(layer))
  })
})
