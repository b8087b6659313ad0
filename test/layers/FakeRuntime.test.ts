import { assert, it, layer } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import * as FakeRuntime from "../../src/layers/FakeRuntime.ts"
import { ContainerRuntime, type NewContainer } from "../../src/services/ContainerRuntime.ts"
import { CommandNotRun, RuntimeRefused } from "../../src/services/RuntimeError.ts"
import { absent, ends, prints, runtimeContract, stays } from "./runtimeContract.ts"

const image = "localhost/mcp-test/busybox:1"
const is = (one: ReadonlyArray<string>, other: ReadonlyArray<string>) => one.join(" ") === other.join(" ")

/** What the commands of the contract do. */
const busybox: FakeRuntime.Program = ({ cmd, containerName }) => ({
  ...(is(cmd, ends) && {
    exits: { afterMs: 0, code: 7 },
    logs: ["one", "two", { stream: "stderr", line: "oh" }]
  }),
  ...(is(cmd, absent) && {
    refuses: new RuntimeRefused({
      operation: "start",
      subject: containerName,
      why: "there is no command /bin/absent in the container"
    })
  }),
  attach: ({ argv, input, write }) =>
    Effect.gen(function* () {
      if (is(argv, absent)) {
        const why = "there is no command /bin/absent in the container"
        return yield* new CommandNotRun({ exitCode: 127, why })
      }
      if (is(argv, stays)) return yield* Effect.never
      let first = true
      yield* Stream.runForEach(input, (bytes) => {
        const both = first ? write("stderr", bytes) : Effect.void
        first = false
        return Effect.zipRight(both, write("stdout", bytes))
      })
      return 5
    }),
  exec: (argv) => (is(argv, prints) ? { exitCode: 3, output: "out\n" } : { exitCode: 0, output: "" })
})

const withImage = Layer.effectDiscard(
  Effect.flatMap(FakeRuntime.FakeRuntimeControl, (control) => control.addImage(image, busybox))
).pipe(Layer.provideMerge(FakeRuntime.layer))

layer(withImage, { excludeTestServices: true })("FakeRuntime", (it) => runtimeContract(it, image))

const plain = (containerName: string): NewContainer => ({
  containerName,
  image,
  labels: {},
  env: {},
  cmd: [],
  entrypoint: [],
  user: undefined,
  network: { to: "none", aliases: [] },
  ports: [],
  volumes: [],
  memory: undefined,
  cpus: undefined,
  stopTimeoutSeconds: 1
})

it.effect("a program that ends after an hour does so on the test's clock, unless it was stopped before", () =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const control = yield* FakeRuntime.FakeRuntimeControl
    yield* control.program(image, { exits: { afterMs: 3_600_000, code: 4 } })
    yield* runtime.create(plain("web"))
    yield* runtime.start("web")
    const waiting = yield* Effect.fork(runtime.wait("web"))
    yield* TestClock.adjust("59 minutes")
    assert.strictEqual((yield* runtime.inspect("web")).state, "running")
    yield* TestClock.adjust("1 minute")
    assert.strictEqual(yield* Fiber.join(waiting), 4)
    yield* runtime.start("web")
    yield* runtime.stop("web", 0)
    yield* runtime.start("web")
    yield* TestClock.adjust("59 minutes")
    yield* runtime.stop("web", 0)
    yield* control.program(image, {})
    yield* runtime.start("web")
    yield* TestClock.adjust("2 hours")
    assert.strictEqual((yield* runtime.inspect("web")).state, "running")
  }).pipe(Effect.provide(withImage))
)

it.effect("faults, latency and calls", () =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const control = yield* FakeRuntime.FakeRuntimeControl
    const why = "no space left on device"
    yield* control.failNext("create", new RuntimeRefused({ operation: "create", subject: "web", why }), 2)
    for (const _ of [1, 2]) {
      assert.strictEqual((yield* Effect.flip(runtime.create(plain("web")))).message, `create web: ${why}`)
    }
    yield* runtime.create(plain("web"))
    yield* control.setLatency("start", 5_000)
    const start = yield* Effect.fork(runtime.start("web"))
    yield* TestClock.adjust("4999 millis")
    assert.strictEqual((yield* runtime.inspect("web")).state, "created")
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(start)
    assert.strictEqual((yield* runtime.inspect("web")).state, "running")
    assert.deepEqual(yield* control.calls, [
      ...["create web", "create web", "create web"],
      ...["start web", "inspect web", "inspect web"]
    ])
  }).pipe(Effect.provide(withImage))
)

it.effect("while it is down calls fail and events end, and containers go on", () =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const control = yield* FakeRuntime.FakeRuntimeControl
    yield* runtime.create(plain("web"))
    yield* runtime.start("web")
    const lost = yield* Effect.fork(Effect.flip(Stream.runDrain(runtime.events)))
    yield* Effect.yieldNow()
    yield* control.setDown(true)
    assert.strictEqual((yield* Fiber.join(lost))._tag, "RuntimeUnavailable")
    assert.strictEqual((yield* Effect.flip(runtime.list))._tag, "RuntimeUnavailable")
    yield* control.setDown(false)
    assert.strictEqual((yield* runtime.inspect("web")).state, "running")
  }).pipe(Effect.provide(withImage))
)

it.effect("who follows a log sees what is written later, and its end", () =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const control = yield* FakeRuntime.FakeRuntimeControl
    yield* runtime.create(plain("web"))
    yield* runtime.start("web")
    yield* control.emitLog("web", "stdout", "before")
    const options = { follow: true, tail: undefined, since: undefined }
    const read = yield* Effect.fork(Stream.runCollect(runtime.logs("web", options)))
    yield* Effect.yieldNow()
    yield* control.emitLog("web", "stderr", "later")
    yield* control.kill("web", 9)
    const lines = Chunk.toReadonlyArray(yield* Fiber.join(read))
    assert.deepEqual(
      lines.map(({ stream, line }) => [stream, line]),
      [
        ["stdout", "before"],
        ["stderr", "later"]
      ]
    )
    assert.strictEqual((yield* runtime.inspect("web")).exitCode, 9)
  }).pipe(Effect.provide(withImage))
)
