import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { start, stop } from "../../src/programs/lifecycle.ts"
import { deployed, node, passTime, shop } from "./support.ts"

const whole = { service: "shop", component: undefined }

it.effect("a start takes no notice of what stands under the name for replaced containers", () =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    yield* control.addImage("localhost/web:1")
    yield* control.addImage("localhost/worker:1")
    yield* deployed(shop("1"))
    yield* stop(whole)
    yield* control.addStranger("shop-web.prev")
    const starting = yield* Effect.fork(start(whole))
    yield* passTime(starting)
    const outcomes = yield* Fiber.join(starting)
    assert.deepStrictEqual(
      outcomes.map((o) => `${o.component} ${o.changed}`),
      ["worker true", "web true"]
    )
  }).pipe(Effect.provide(node()))
)
