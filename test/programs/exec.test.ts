import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Exit, Fiber, Option, Stream } from "effect"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import type { FakeProcess } from "../../src/layers/fakeAttach.ts"
import { type ExecInput, exec, execTarget } from "../../src/programs/exec.ts"
import { explain } from "../../src/programs/explain.ts"
import { stop } from "../../src/programs/lifecycle.ts"
import type { AttachedCommand } from "../../src/services/ContainerRuntime.ts"
import { deployed, node, shop, specOf } from "./support.ts"

const command: AttachedCommand = { argv: ["psql"], env: [], terminal: undefined, stdin: true }
const typed = (text: string): ExecInput => ({ _tag: "Stdin", bytes: Buffer.from(text) })

const lone = specOf({ name: "lone", components: [{ name: "db", image: "localhost/web:1" }] })

/** A node with `shop` and `lone` deployed, where an attached command behaves so. */
const running = (attach: (process: FakeProcess) => Effect.Effect<number>) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    for (const name of ["web", "worker"]) yield* control.addImage(`localhost/${name}:1`, { attach })
    yield* deployed(shop("1"))
    yield* deployed(lone)
  })

const never = () => Effect.never

describe("the target of a command", () => {
  it.effect("needs no component where there is one; of several all are named", () =>
    Effect.gen(function* () {
      yield* running(never)
      assert.strictEqual((yield* execTarget("lone", undefined)).component, "db")
      assert.strictEqual((yield* execTarget("shop", "worker")).component, "worker")
      const several = yield* Effect.flip(execTarget("shop", undefined))
      assert.strictEqual(several.message, "service shop has several components: web, worker")
      assert.deepStrictEqual(explain(several), { reason: "COMPONENT_AMBIGUOUS", nextStep: "say which: shop/web" })
      assert.strictEqual((yield* Effect.flip(execTarget("shop", "db")))._tag, "ComponentNotFound")
      assert.strictEqual((yield* Effect.flip(execTarget("shpo", undefined)))._tag, "ServiceNotFound")
    }).pipe(Effect.provide(node()))
  )

  it.effect("runs, or it is said what it is and what to do", () =>
    Effect.gen(function* () {
      yield* running(never)
      const control = yield* FakeRuntimeControl
      yield* control.kill("shop-web", 1)
      const ended = yield* Effect.flip(execTarget("shop", "web"))
      assert.strictEqual(ended.message, "its container does not run: it is exited")
      yield* stop({ service: "lone", component: undefined })
      const stopped = yield* Effect.flip(execTarget("lone", undefined))
      assert.deepStrictEqual(explain(stopped), { reason: "NOT_RUNNING", nextStep: "mcp start lone/db" })
    }).pipe(Effect.provide(node()))
  )
})

describe("a command", () => {
  it.effect("is told to have started, then what it writes, then how it ended", () =>
    Effect.gen(function* () {
      yield* running(({ input, write }) =>
        Stream.runForEach(input, (bytes) => write("stdout", bytes)).pipe(Effect.as(3))
      )
      const { container } = yield* execTarget("lone", undefined)
      const input = Stream.make<Array<ExecInput>>(typed("select 1;"), { _tag: "Close" })
      const output = yield* Stream.runCollect(exec(container, command, input))
      assert.deepStrictEqual(Chunk.toReadonlyArray(output), [
        { _tag: "Started" },
        { _tag: "Bytes", stream: "stdout", bytes: Buffer.from("select 1;") },
        { _tag: "Exit", exitCode: 3, cut: false }
      ])
    }).pipe(Effect.provide(node()))
  )

  it.effect("never takes input that was cut off for the end of it, and is ended with its caller", () =>
    Effect.gen(function* () {
      const read: Array<string> = []
      const reading = yield* Deferred.make<void>()
      const how = yield* Deferred.make<"interrupted" | "finished">()
      yield* running(({ input }) =>
        Stream.runForEach(input, (bytes) => {
          read.push(Buffer.from(bytes).toString())
          return Deferred.succeed(reading, undefined)
        }).pipe(
          Effect.as(0),
          Effect.onExit((exit) => Deferred.succeed(how, Exit.isInterrupted(exit) ? "interrupted" : "finished"))
        )
      )
      const { container } = yield* execTarget("lone", undefined)
      const call = yield* Effect.fork(Stream.runDrain(exec(container, command, Stream.make(typed("begin; delete")))))
      yield* Deferred.await(reading)
      for (let i = 0; i < 100; i++) yield* Effect.yieldNow()
      assert.isTrue(Option.isNone(yield* Deferred.poll(how)))
      yield* Fiber.interrupt(call)
      assert.strictEqual(yield* Deferred.await(how), "interrupted")
      assert.deepStrictEqual(read, ["begin; delete"])
    }).pipe(Effect.provide(node()))
  )

  it.effect("is ended when its input is no input", () =>
    Effect.gen(function* () {
      yield* running(never)
      const { container } = yield* execTarget("lone", undefined)
      const failed = yield* Effect.flip(Stream.runDrain(exec(container, command, Stream.fail("malformed" as const))))
      assert.strictEqual(failed, "malformed")
    }).pipe(Effect.provide(node()))
  )
})
