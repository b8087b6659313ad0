import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as BatchedLogger from "../../src/layers/BatchedLogger.ts"

const plain = Logger.make(({ message }) => String(message))

it.live("lines of one turn are written at once and in order, and each only once", () =>
  Effect.gen(function* () {
    const written: Array<string> = []
    const logger = BatchedLogger.make(plain, (text) => written.push(text))
    const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    yield* Effect.gen(function* () {
      yield* Effect.log("one")
      yield* Effect.log("two")
      assert.deepStrictEqual(written, [])
      yield* turn
      yield* Effect.log("three")
      yield* turn
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    assert.deepStrictEqual(written, ["one\ntwo", "three"])
  })
)
