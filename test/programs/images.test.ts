import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { undeploy } from "../../src/programs/lifecycle.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { deployed, node, specOf } from "./support.ts"

const version = (n: number, service = "shop") =>
  specOf({ name: service, components: [{ name: service, image: `localhost/web:${n}` }] })

const kept = Effect.gen(function* () {
  const runtime = yield* ContainerRuntime
  const here: Array<number> = []
  for (let n = 1; n <= 15; n++) {
    if ((yield* runtime.image(`localhost/web:${n}`))._tag === "Some") here.push(n)
  }
  return here
})

const inRegistry = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  for (let n = 1; n <= 15; n++) yield* control.addRemoteImage(`localhost/web:${n}`)
  return control
})

const upTo = (last: number) =>
  Effect.forEach(
    Array.from({ length: last }, (_, i) => i + 1),
    (n) => deployed(version(n))
  )

describe("images that MCP has pulled", () => {
  it.effect("are kept for the last 10 revisions of a service, and are removed after that", () =>
    Effect.gen(function* () {
      yield* inRegistry
      yield* upTo(12)
      assert.deepStrictEqual(yield* kept, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    }).pipe(Effect.provide(node()))
  )

  it.effect("are kept while another service uses them", () =>
    Effect.gen(function* () {
      yield* inRegistry
      yield* deployed(version(1, "blog"))
      yield* deployed(version(2))
      yield* upTo(14)
      // 1 is blog's.
      assert.deepStrictEqual(yield* kept, [1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
    }).pipe(Effect.provide(node()))
  )

  it.effect("go with the service when it is undeployed and the next deployment looks", () =>
    Effect.gen(function* () {
      yield* inRegistry
      yield* upTo(3)
      yield* undeploy("shop")
      yield* deployed(version(15, "blog"))
      assert.deepStrictEqual(yield* kept, [15])
    }).pipe(Effect.provide(node()))
  )

  it.effect("are not those that were here before: nothing that MCP did not bring is removed", () =>
    Effect.gen(function* () {
      const control = yield* inRegistry
      yield* control.addImage("localhost/web:1")
      yield* upTo(12)
      assert.deepStrictEqual(yield* kept, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    }).pipe(Effect.provide(node()))
  )
})
