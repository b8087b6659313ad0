import { assert, describe, it } from "@effect/vitest"
import { Deferred, type Duration, Effect, Exit, Fiber, Ref, Scope, Stream } from "effect"
import * as GrpcClient from "../../src/grpc/client.ts"
import { service } from "../../src/grpc/service.ts"
import { Code } from "../../src/grpc/status.ts"
import { EchoService } from "./gen/echo_pb.ts"
import { echo, start } from "./support.ts"

const CHUNK = 64 * 1024

// What may be on its way: both windows, both write-aheads, and the buffers of TLS and the kernel.
const BOUND = (8 * 1024 * 1024) / CHUNK

/** An endless stream, with what it has produced so far, and a wait for it to stand still. */
const counted = Effect.gen(function* () {
  const produced = yield* Ref.make(0)
  const stream = Stream.repeatEffect(
    Effect.as(
      Ref.update(produced, (n) => n + 1),
      { payload: new Uint8Array(CHUNK) }
    )
  )
  const standstill = Effect.gen(function* () {
    let before = -1
    for (;;) {
      const now = yield* Ref.get(produced)
      if (now === before && now > 0) return now
      before = now
      yield* Effect.sleep("150 millis")
    }
  })
  return { produced, stream, standstill }
})

describe("backpressure", () => {
  it.scopedLive("a slow reader holds the server's producer", () =>
    Effect.gen(function* () {
      const { produced, standstill, stream } = yield* counted
      const { client } = yield* start({ services: [service(EchoService, { ...echo, spread: () => stream })] })
      const go = yield* Deferred.make<void>()
      const read = yield* Effect.fork(
        client.spread({}).pipe(
          Stream.tap(() => Deferred.await(go)),
          Stream.take(400),
          Stream.runCount
        )
      )
      const ahead = yield* standstill
      assert.isBelow(ahead, BOUND)
      yield* Deferred.succeed(go, undefined)
      assert.strictEqual(yield* Fiber.join(read), 400)
      assert.isAbove(yield* Ref.get(produced), 399)
    })
  )

  it.scopedLive("a slow handler holds the client's producer", () =>
    Effect.gen(function* () {
      const { standstill, stream } = yield* counted
      const go = yield* Deferred.make<void>()
      const { client } = yield* start({
        services: [
          service(EchoService, {
            ...echo,
            collect: (requests) =>
              Stream.tap(requests, () => Deferred.await(go)).pipe(
                Stream.take(400),
                Stream.runCount,
                Effect.map((count) => ({ count }))
              )
          })
        ]
      })
      const sent = yield* Effect.fork(client.collect(stream))
      assert.isBelow(yield* standstill, BOUND)
      yield* Deferred.succeed(go, undefined)
      assert.strictEqual((yield* Fiber.join(sent)).count, 400)
    })
  )

  it.scopedLive("a reader that stands still does not hold the others on its connection", () =>
    Effect.gen(function* () {
      const { standstill, stream } = yield* counted
      const { client } = yield* start({ services: [service(EchoService, { ...echo, spread: () => stream })] })
      yield* Effect.forkScoped(Stream.runForEach(client.spread({}), () => Effect.never))
      yield* standstill
      assert.strictEqual((yield* client.one({ count: 5, payload: new Uint8Array(1_000_000) })).count, 5)
    })
  )
})

/** Handlers of all four kinds that say when they started and how they ended, and never end by themselves. */
const hanging = Effect.gen(function* () {
  const started = yield* Deferred.make<void>()
  const ended = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
  const hang = Deferred.succeed(started, undefined).pipe(
    Effect.zipRight(Effect.never),
    Effect.onExit((exit) => Deferred.succeed(ended, exit))
  )
  const services = [
    service(EchoService, {
      one: () => hang,
      collect: () => hang,
      spread: () => Stream.fromEffect(hang),
      chat: () => Stream.fromEffect(hang)
    })
  ]
  return { started, ended, services }
})

const kinds = (client: GrpcClient.GrpcClient<typeof EchoService>, options?: { readonly timeout: string }) => {
  const timeout = options === undefined ? {} : { timeout: options.timeout as Duration.DurationInput }
  return {
    unary: client.one({}, timeout),
    "client stream": client.collect(Stream.never, timeout),
    "server stream": Stream.runDrain(client.spread({}, timeout)),
    bidi: Stream.runDrain(client.chat(Stream.never, timeout))
  }
}

describe("ends", () => {
  for (const kind of ["unary", "client stream", "server stream", "bidi"] as const) {
    it.scopedLive(`${kind}: interrupting the client interrupts the handler`, () =>
      Effect.gen(function* () {
        const { started, ended, services } = yield* hanging
        const { client, audited } = yield* start({ services })
        const call = yield* Effect.fork(kinds(client)[kind])
        yield* Deferred.await(started)
        yield* Fiber.interrupt(call)
        assert.isTrue(Exit.isInterrupted(yield* Deferred.await(ended)))
        assert.strictEqual((yield* audited(1))[0]?.code, Code.CANCELLED)
      })
    )

    it.scopedLive(`${kind}: a deadline interrupts the handler and is what the client sees`, () =>
      Effect.gen(function* () {
        const { ended, services } = yield* hanging
        const { client, audited } = yield* start({ services })
        const error = yield* Effect.flip(kinds(client, { timeout: "200 millis" })[kind])
        assert.deepStrictEqual([error.code, error.reason], [Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"])
        assert.isTrue(Exit.isInterrupted(yield* Deferred.await(ended)))
        assert.include([Code.DEADLINE_EXCEEDED, Code.CANCELLED], (yield* audited(1))[0]?.code)
      })
    )
  }

  it.scopedLive("the server's own clock ends a call whose client does not", () =>
    Effect.gen(function* () {
      const { ended, services } = yield* hanging
      const { channel, audited } = yield* start({ services })
      // Sent as a header beside grpc-js's own deadline, which is none.
      yield* Effect.forkScoped(
        Stream.runDrain(
          channel.raw("/test.v1.EchoService/Chat", Stream.never, { metadata: { "grpc-timeout": "100m" } })
        )
      )
      assert.isTrue(Exit.isInterrupted(yield* Deferred.await(ended)))
      assert.strictEqual((yield* audited(1))[0]?.code, Code.DEADLINE_EXCEEDED)
    })
  )

  it.scopedLive("leaving a stream early cancels the call", () =>
    Effect.gen(function* () {
      const finalized = yield* Deferred.make<void>()
      const { client } = yield* start({
        services: [
          service(EchoService, {
            ...echo,
            spread: () => Stream.ensuring(Stream.repeatValue({ count: 1 }), Deferred.succeed(finalized, undefined))
          })
        ]
      })
      assert.strictEqual(yield* Stream.runCount(Stream.take(client.spread({}), 3)), 3)
      yield* Deferred.await(finalized)
    })
  )

  it.scopedLive("a client that goes away cancels its calls", () =>
    Effect.gen(function* () {
      const { started, ended, services } = yield* hanging
      const { audited, options } = yield* start({ services })
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(GrpcClient.make(EchoService, options), scope)
      const call = yield* Effect.fork(client.one({}))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(call)
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.await(ended)
      assert.strictEqual((yield* audited(1))[0]?.code, Code.CANCELLED)
    })
  )
})

describe("stopping", () => {
  it.scopedLive("lets a running call finish, and takes no new one", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const finish = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const { options } = yield* Scope.extend(
        start({
          services: [
            service(EchoService, {
              ...echo,
              one: () =>
                Deferred.succeed(entered, undefined).pipe(
                  Effect.zipRight(Deferred.await(finish)),
                  Effect.as({ text: "done" })
                )
            })
          ]
        }),
        scope
      )
      const client = yield* GrpcClient.make(EchoService, options)
      const call = yield* Effect.fork(client.one({}))
      yield* Deferred.await(entered)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      const other = yield* GrpcClient.make(EchoService, options)
      while ((yield* Effect.exit(other.collect(Stream.empty)))._tag === "Success") yield* Effect.yieldNow()
      assert.strictEqual((yield* Effect.flip(other.one({}))).reason, "NODE_UNREACHABLE")
      yield* Deferred.succeed(finish, undefined)
      assert.strictEqual((yield* Fiber.join(call)).text, "done")
      yield* Fiber.join(closing)
    })
  )

  it.scopedLive("interrupts what outlasts the grace period, and says why", () =>
    Effect.gen(function* () {
      const { started, ended, services } = yield* hanging
      const serverScope = yield* Scope.make()
      const { audited, options } = yield* Scope.extend(
        start({ services, server: { gracePeriod: "100 millis" } }),
        serverScope
      )
      const client = yield* GrpcClient.make(EchoService, options)
      const call = yield* Effect.fork(Effect.flip(client.one({})))
      yield* Deferred.await(started)
      yield* Scope.close(serverScope, Exit.void)
      assert.isTrue(Exit.isInterrupted(yield* Deferred.await(ended)))
      const error = yield* Fiber.join(call)
      assert.deepStrictEqual([error.code, error.reason], [Code.UNAVAILABLE, "SERVER_STOPPING"])
      assert.strictEqual((yield* audited(1))[0]?.reason, "SERVER_STOPPING")
      assert.strictEqual((yield* Effect.flip(client.one({}))).reason, "NODE_UNREACHABLE")
    })
  )
})
