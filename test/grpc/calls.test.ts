import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Logger, Queue, Ref, Stream } from "effect"
import { annotateCall } from "../../src/grpc/CallInfo.ts"
import { INTERNAL_TEXT } from "../../src/grpc/ServerCall.ts"
import { service } from "../../src/grpc/service.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { EchoService } from "./gen/echo_pb.ts"
import { Caller, echo, NotHere, start, toRpcError } from "./support.ts"

const pings = (n: number) => Stream.range(1, n).pipe(Stream.map((count) => ({ count })))

describe("the four kinds", () => {
  it.scopedLive("unary", () =>
    Effect.gen(function* () {
      const { client } = yield* start()
      const pong = yield* client.one({ text: "hë", count: 7, payload: new Uint8Array([1, 2]) })
      assert.deepStrictEqual([pong.text, pong.count, [...pong.payload]], ["hë", 7, [1, 2]])
    })
  )

  it.scopedLive("client stream, also an empty one", () =>
    Effect.gen(function* () {
      const { client } = yield* start()
      assert.strictEqual((yield* client.collect(pings(1000))).count, 1000)
      assert.strictEqual((yield* client.collect(Stream.empty)).count, 0)
    })
  )

  it.scopedLive("server stream, also an empty one", () =>
    Effect.gen(function* () {
      const { client } = yield* start()
      const all = yield* Stream.runCollect(client.spread({ count: 1000, text: "x" }))
      assert.deepStrictEqual(
        [...all].map((p) => p.count),
        Array.from({ length: 1000 }, (_, i) => i + 1)
      )
      const none = yield* Stream.runCollect(client.spread({ count: 0 }))
      assert.strictEqual(none.length <= 2, true)
    })
  )

  it.scopedLive("bidi, one answer before the next question", () =>
    Effect.gen(function* () {
      const { client } = yield* start()
      const answered = yield* Ref.make(0)
      const questions = Stream.range(1, 20).pipe(
        Stream.mapEffect((count) => Effect.as(Ref.get(answered), { count })),
        Stream.rechunk(1)
      )
      const all = yield* Stream.runCollect(Stream.tap(client.chat(questions), () => Ref.update(answered, (n) => n + 1)))
      assert.strictEqual(all.length, 20)
    })
  )

  it.scopedLive("64 calls in flight on one connection", () =>
    Effect.gen(function* () {
      const { client } = yield* start()
      const counts = yield* Effect.forEach(
        Array.from({ length: 300 }, (_, count) => count),
        (count) => Effect.map(client.one({ count }), (pong) => pong.count),
        { concurrency: 64 }
      )
      assert.deepStrictEqual(
        counts,
        Array.from({ length: 300 }, (_, i) => i)
      )
    })
  )
})

describe("errors", () => {
  it.scopedLive("a domain error arrives typed, with all its facts", () =>
    Effect.gen(function* () {
      const sent = new RpcError({
        code: Code.INVALID_ARGUMENT,
        reason: "SPEC_INVALID",
        detail: "zwei Fehler: 100% ü\n#x %23",
        service: "web",
        component: "api",
        node: "n1",
        nextStep: "mend it",
        violations: [
          { field: "image", description: "is missing" },
          { field: "ports[0]", description: "taken" }
        ],
        info: { pid: "12" }
      })
      const { client, audited } = yield* start({
        services: [
          service(
            EchoService,
            {
              ...echo,
              one: (request) =>
                request.text === "domain" ? Effect.fail(new NotHere({ thing: "web" })) : Effect.fail(sent),
              spread: () => Stream.concat(Stream.make({ count: 1 }), Stream.fail(sent)),
              collect: () => Effect.fail(sent),
              chat: () => Stream.fail(sent)
            },
            toRpcError
          )
        ]
      })
      const domain = yield* Effect.flip(client.one({ text: "domain" }))
      assert.deepStrictEqual({ ...domain }, { ...toRpcError(new NotHere({ thing: "web" })) })
      for (const call of [
        client.one({}),
        client.collect(pings(3)),
        Stream.runDrain(client.spread({})),
        Stream.runDrain(client.chat(Stream.never))
      ]) {
        const error = yield* Effect.flip(call)
        assert.deepStrictEqual({ ...error }, { ...sent })
      }
      const lines = yield* audited(5)
      assert.deepStrictEqual(
        lines.map((line) => line.reason),
        ["NOT_HERE", "SPEC_INVALID", "SPEC_INVALID", "SPEC_INVALID", "SPEC_INVALID"]
      )
    })
  )

  it.scopedLive("an error too long for a trailer is cut, not lost", () =>
    Effect.gen(function* () {
      const violations = Array.from({ length: 200 }, (_, i) => ({ field: `f${i}`, description: "ö".repeat(900) }))
      const { client } = yield* start({
        services: [
          service(EchoService, {
            ...echo,
            one: () =>
              Effect.fail(
                new RpcError({
                  code: Code.INVALID_ARGUMENT,
                  reason: "SPEC_INVALID",
                  detail: `${"x".repeat(3000)}\ud800`,
                  violations
                })
              )
          })
        ]
      })
      const error = yield* Effect.flip(client.one({}))
      assert.strictEqual(error.reason, "SPEC_INVALID")
      assert.isAbove(error.violations?.length ?? 0, 0)
      assert.isBelow(error.detail.length, 1100)
    })
  )

  it.scopedLive("a defect is INTERNAL with a fixed text, and its cause is in the log alone", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ cause, message }) => logged.push(String(message), Cause.pretty(cause)))
      const { client, audited } = yield* start({
        services: [
          service(EchoService, {
            ...echo,
            one: () => Effect.die(new Error("secret 42")),
            spread: () => {
              throw new Error("secret 43")
            }
          })
        ]
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      for (const call of [client.one({}), Stream.runDrain(client.spread({}))]) {
        const error = yield* Effect.flip(call)
        assert.deepStrictEqual([error.code, error.reason, error.detail], [Code.INTERNAL, "INTERNAL", INTERNAL_TEXT])
        assert.notInclude(JSON.stringify(error), "secret")
      }
      assert.deepStrictEqual(
        (yield* audited(2)).map((line) => line.code),
        [Code.INTERNAL, Code.INTERNAL]
      )
      assert.include(logged.join("\n"), "secret 42")
    })
  )

  it.scopedLive("a request that is no such message is INVALID_ARGUMENT", () =>
    Effect.gen(function* () {
      const { channel } = yield* start()
      const sent = Stream.make(new Uint8Array([255, 255, 255]))
      const error = yield* Effect.flip(Stream.runDrain(channel.raw("/test.v1.EchoService/One", sent)))
      assert.deepStrictEqual([error.code, error.reason], [Code.INVALID_ARGUMENT, "REQUEST_MALFORMED"])
      const none = yield* Effect.flip(Stream.runDrain(channel.raw("/test.v1.EchoService/One", Stream.empty)))
      assert.strictEqual(none.reason, "REQUEST_MISSING")
    })
  )

  it.scopedLive("a request that is too long is refused by either side, and audited as that", () =>
    Effect.gen(function* () {
      const { client, audited } = yield* start({ server: { maxMessageBytes: 1000 } })
      const error = yield* Effect.flip(client.one({ payload: new Uint8Array(2000) }))
      assert.strictEqual(error.code, Code.RESOURCE_EXHAUSTED)
      assert.strictEqual((yield* audited(1))[0]?.code, Code.RESOURCE_EXHAUSTED)
      const small = yield* start({ client: { maxMessageBytes: 1000 } })
      const answer = yield* Effect.flip(small.client.one({ payload: new Uint8Array(2000) }))
      assert.strictEqual(answer.code, Code.RESOURCE_EXHAUSTED)
    })
  )

  it.scopedLive("a request stream that fails ends the call with its own error, and cancels it", () =>
    Effect.gen(function* () {
      // Until the server has seen the call there is nothing to cancel.
      const seen = yield* Queue.unbounded<void>()
      const { client, audited } = yield* start({
        services: [
          service(EchoService, {
            ...echo,
            collect: (requests) =>
              Effect.zipRight(
                Stream.runForEach(requests, () => Queue.offer(seen, undefined)),
                Effect.never
              ),
            chat: (requests) =>
              Stream.concat(Stream.drain(Stream.tap(requests, () => Queue.offer(seen, undefined))), Stream.never)
          })
        ]
      })
      const broken = Stream.concat(pings(1), Stream.fromEffect(Effect.zipRight(Queue.take(seen), Effect.fail("disk"))))
      assert.strictEqual(yield* Effect.flip(client.collect(broken)), "disk")
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(client.chat(broken))), "disk")
      assert.deepStrictEqual(
        (yield* audited(2)).map((line) => line.code),
        [Code.CANCELLED, Code.CANCELLED]
      )
    })
  )
})

describe("the interceptor", () => {
  it.scopedLive("gives the handler its caller, and hears what the handler says of the call", () =>
    Effect.gen(function* () {
      const { client, audited, server } = yield* start({
        services: [
          service(EchoService, {
            ...echo,
            one: () =>
              Effect.zipRight(
                annotateCall({ service: "web" }),
                Effect.map(Caller, ({ name }) => ({ text: name }))
              )
          })
        ]
      })
      assert.strictEqual((yield* client.one({})).text, "ann")
      const [line] = yield* audited(1)
      assert.deepInclude(line, {
        method: "/test.v1.EchoService/One",
        service: "web",
        caller: "ann",
        code: Code.OK,
        reason: "OK"
      })
      assert.isAbove(line?.durationMs ?? 0, 0)
      assert.isAbove(server.port, 0)
    })
  )

  it.scopedLive("refuses before a request is read and before the handler", () =>
    Effect.gen(function* () {
      let handled = 0
      const { client, audited } = yield* start({
        client: { metadata: Effect.succeed({}) },
        services: [
          service(EchoService, {
            ...echo,
            collect: (requests) => {
              handled += 1
              return echo.collect(requests)
            }
          })
        ]
      })
      let produced = 0
      const endless = Stream.repeatEffect(
        Effect.sync(() => {
          produced += 1
          return { payload: new Uint8Array(10_000) }
        })
      )
      const error = yield* Effect.flip(client.collect(endless))
      assert.deepStrictEqual([error.code, error.reason], [Code.UNAUTHENTICATED, "TOKEN_MISSING"])
      assert.strictEqual(handled, 0)
      assert.isBelow(produced, 200)
      assert.strictEqual((yield* audited(1))[0]?.code, Code.UNAUTHENTICATED)
    })
  )

  it.scopedLive("sees unknown methods", () =>
    Effect.gen(function* () {
      const { channel, audited } = yield* start()
      for (const path of ["/test.v1.EchoService/Nope", "/no.Such/Thing", "/x"]) {
        const error = yield* Effect.flip(Stream.runDrain(channel.raw(path, Stream.empty)))
        assert.strictEqual(error.code, Code.UNIMPLEMENTED)
      }
      assert.deepStrictEqual(
        (yield* audited(3)).map((line) => [line.method, line.code]),
        [
          ["/test.v1.EchoService/Nope", Code.UNIMPLEMENTED],
          ["/no.Such/Thing", Code.UNIMPLEMENTED],
          ["/x", Code.UNIMPLEMENTED]
        ]
      )
    })
  )

  it.scopedLive("a defect of its own is INTERNAL", () =>
    Effect.gen(function* () {
      const { client } = yield* start({
        server: {
          interceptor: () => {
            throw new Error("secret")
          }
        }
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
      assert.strictEqual((yield* Effect.flip(client.one({}))).detail, INTERNAL_TEXT)
    })
  )

  it.scopedLive("bounds the calls in flight", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const { client, audited } = yield* start({
        server: { maxCalls: 1 },
        services: [
          service(EchoService, {
            ...echo,
            one: () => Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never)
          })
        ]
      })
      const first = yield* Effect.fork(client.one({}))
      yield* Deferred.await(entered)
      assert.strictEqual((yield* Effect.flip(client.collect(Stream.empty))).reason, "TOO_MANY_CALLS")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(first)))
      yield* audited(2)
      assert.strictEqual((yield* client.collect(Stream.empty)).count, 0)
    })
  )
})

describe("types", () => {
  it("hold handlers to their service", () => {
    // @ts-expect-error a handler is missing
    service(EchoService, { one: echo.one, chat: echo.chat, collect: echo.collect })
    // @ts-expect-error an error that nothing translates
    service(EchoService, { ...echo, one: () => Effect.fail("hm") })
    // @ts-expect-error an error that toRpcError does not know
    service(EchoService, { ...echo, one: () => Effect.fail("hm") }, toRpcError)
    // @ts-expect-error no such field
    service(EchoService, { ...echo, one: () => Effect.succeed({ txet: "" }) })
  })
})
