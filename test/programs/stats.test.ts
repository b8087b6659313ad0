import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Stream, TestClock } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { stop } from "../../src/programs/lifecycle.ts"
import { type Look, stats, type Wanted } from "../../src/programs/stats.ts"
import { deployed, node, shop } from "./support.ts"

const all: Wanted = { service: undefined, component: undefined, sees: () => true }

const shown = ({ components }: Look) =>
  components.map(({ cpuPercent, live, use }) => [live.component, use === undefined ? "-" : Math.round(cpuPercent)])

/** Looks, one every two seconds, with the clock running. */
const looks = (wanted: Wanted, count: number, between: Effect.Effect<void> = Effect.void) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Stream.runCollect(Stream.take(stats(wanted, "2 seconds"), count)))
    yield* TestClock.adjust("500 millis")
    yield* between
    yield* TestClock.adjust("1 minute")
    return Chunk.toReadonlyArray(yield* Fiber.join(fiber))
  })

const running = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  // A quarter of a core until ten seconds have passed, and then two whole ones.
  const cpuNanos = (atNanos: number) => atNanos * 0.25 + Math.max(0, atNanos - start - 10e9) * 1.75
  let start = 0
  yield* control.addImage("localhost/web:1", {
    uses: (atNanos) => {
      start ||= atNanos
      return { cpuNanos: cpuNanos(atNanos), memoryBytes: 5 }
    }
  })
  yield* control.addImage("localhost/worker:1")
  yield* deployed(shop("1"))
  return control
})

describe("stats", () => {
  it.effect("tell the CPU of the time since the look before, from the first on", () =>
    Effect.gen(function* () {
      yield* running
      const seen = yield* looks(all, 8)
      assert.deepStrictEqual(
        seen.map((look) => shown(look)[0]),
        [25, 25, 25, 25, 25, 69, 200, 200].map((percent) => ["web", percent])
      )
      assert.strictEqual(seen[0]?.components[0]?.use?.memoryBytes, 5)
    }).pipe(Effect.provide(node()))
  )

  it.effect("say of a component that does not run that it does not, and are of rows' containers alone", () =>
    Effect.gen(function* () {
      const control = yield* running
      yield* control.addStranger("stranger")
      yield* stop({ service: "shop", component: "worker" })
      const [look] = yield* looks(all, 1)
      assert.deepStrictEqual(look && shown(look), [
        ["web", 25],
        ["worker", "-"]
      ])
      assert.strictEqual(look?.components[1]?.live.observed, "stopped")
      const [none] = yield* looks({ ...all, sees: () => false }, 1)
      assert.deepStrictEqual(none?.components, [])
    }).pipe(Effect.provide(node()))
  )

  it.effect("of what is not there are an error", () =>
    Effect.gen(function* () {
      yield* running
      const error = (service: string, component?: string) =>
        Effect.map(
          Effect.flip(Stream.runDrain(stats({ ...all, service, component }, "2 seconds"))),
          (error) => error._tag
        )
      assert.strictEqual(yield* error("shpo"), "ServiceNotFound")
      assert.strictEqual(yield* error("shop", "db"), "ComponentNotFound")
      const [look] = yield* looks({ ...all, service: "shop", component: "web" }, 1)
      assert.deepStrictEqual(look && shown(look), [["web", 25]])
    }).pipe(Effect.provide(node()))
  )
})
