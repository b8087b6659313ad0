import { fromBinary } from "@bufbuild/protobuf"
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { Health as HealthService } from "../../src/gen/grpc/health/v1/health_pb.ts"
import { ServerReflection as V1 } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts"
import { ServerReflection as V1Alpha } from "../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts"
import * as GrpcClient from "../../src/grpc/client.ts"
import * as Health from "../../src/grpc/health.ts"
import * as Reflection from "../../src/grpc/reflection.ts"
import { rawService, service } from "../../src/grpc/service.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { EchoService } from "./gen/echo_pb.ts"
import { echo, start } from "./support.ts"

describe("health", () => {
  it.scopedLive("is checked and watched, through the interceptor", () =>
    Effect.gen(function* () {
      const health = yield* Health.make([EchoService.typeName])
      const { channel, audited } = yield* start({ services: [health.service] })
      const client = GrpcClient.fromChannel(HealthService, channel)
      assert.strictEqual((yield* client.check({})).status, Health.ServingStatus.NOT_SERVING)
      yield* health.set("", Health.ServingStatus.SERVING)
      assert.strictEqual((yield* client.check({})).status, Health.ServingStatus.SERVING)
      assert.strictEqual((yield* Effect.flip(client.check({ service: "x" }))).code, Code.NOT_FOUND)
      const first = yield* Deferred.make<void>()
      const watched = yield* client.watch({ service: "late" }).pipe(
        Stream.tap(() => Deferred.succeed(first, undefined)),
        Stream.map((response) => response.status),
        Stream.take(2),
        Stream.runCollect,
        Effect.fork
      )
      yield* Deferred.await(first)
      yield* health.set("late", Health.ServingStatus.SERVING)
      assert.deepStrictEqual(
        [...(yield* Fiber.join(watched))],
        [Health.ServingStatus.SERVICE_UNKNOWN, Health.ServingStatus.SERVING]
      )
      assert.strictEqual((yield* audited(4))[3]?.method, "/grpc.health.v1.Health/Watch")
      yield* health.setAll(Health.ServingStatus.NOT_SERVING)
      assert.strictEqual(yield* health.get("late"), Health.ServingStatus.NOT_SERVING)
    })
  )
})

describe("reflection", () => {
  it.scopedLive("lists services and gives their files, in both versions", () =>
    Effect.gen(function* () {
      const health = yield* Health.make([])
      const services = [service(EchoService, echo), health.service]
      const { channel } = yield* start({ services: [...services, ...Reflection.make(services)] })
      const v1 = GrpcClient.fromChannel(V1, channel)
      const v1alpha = GrpcClient.fromChannel(V1Alpha, channel)
      const questions = Stream.make(
        { messageRequest: { case: "listServices" as const, value: "" } },
        { messageRequest: { case: "fileContainingSymbol" as const, value: "test.v1.EchoService.Spread" } },
        { messageRequest: { case: "fileByFilename" as const, value: "grpc/health/v1/health.proto" } },
        { messageRequest: { case: "fileContainingSymbol" as const, value: "no.Such" } }
      )
      for (const answers of [
        yield* Stream.runCollect(v1.serverReflectionInfo(questions)),
        yield* Stream.runCollect(v1alpha.serverReflectionInfo(questions))
      ]) {
        const [list, symbol, file, none] = [...answers].map((answer) => answer.messageResponse)
        assert(list?.case === "listServicesResponse")
        assert.deepStrictEqual(
          list.value.service.map((each) => each.name),
          [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "test.v1.EchoService"
          ]
        )
        const names = [symbol, file].map((response) => {
          assert(response?.case === "fileDescriptorResponse")
          return response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name)
        })
        assert.deepStrictEqual(names, [["echo.proto"], ["grpc/health/v1/health.proto"]])
        assert(none?.case === "errorResponse")
        assert.strictEqual(none.value.errorCode, Code.NOT_FOUND)
      }
    })
  )
})

describe("a raw proxy", () => {
  it.scopedLive("passes every kind, metadata, deadlines and errors with their details", () =>
    Effect.gen(function* () {
      const failure = new RpcError({
        code: Code.FAILED_PRECONDITION,
        reason: "BOOTING",
        detail: "not yet",
        service: "web",
        node: "n1",
        nextStep: "wait",
        violations: [{ field: "a", description: "b" }]
      })
      const behind = yield* start({
        services: [
          service(EchoService, {
            ...echo,
            one: (request, call) =>
              request.text === "fail"
                ? Effect.fail(failure)
                : Effect.succeed({ text: `${call.metadata.get("x-text")} ${call.metadata.get("x-raw-bin")}` }),
            collect: (requests, call) =>
              Effect.map(Stream.runCount(requests), (count) => ({ count, text: String(call.deadline !== undefined) }))
          })
        ]
      })
      const { channel, audited } = yield* start({
        services: [
          rawService(EchoService, (requests, call) =>
            behind.channel.raw(call.method, requests, {
              metadata: call.metadata.entries().filter(([name]) => name !== "authorization"),
              deadline: call.deadline
            })
          )
        ]
      })
      const client = GrpcClient.fromChannel(EchoService, channel)
      const metadata: Array<[string, string | Uint8Array]> = [
        ["x-text", "hello"],
        ["x-raw-bin", new Uint8Array([0, 255])]
      ]
      assert.strictEqual((yield* client.one({}, { metadata })).text, "hello AP8=")
      const collected = yield* client.collect(Stream.make({}, {}, {}), { timeout: "10 seconds" })
      assert.deepStrictEqual([collected.count, collected.text], [3, "true"])
      assert.strictEqual(yield* Stream.runCount(client.spread({ count: 50 })), 50)
      assert.strictEqual(yield* Stream.runCount(client.chat(Stream.make({}, {}))), 2)
      assert.deepStrictEqual({ ...(yield* Effect.flip(client.one({ text: "fail" }))) }, { ...failure })
      const unknown = yield* Effect.flip(Stream.runDrain(channel.raw("/test.v1.EchoService/New", Stream.empty)))
      assert.strictEqual(unknown.code, Code.UNIMPLEMENTED)
      assert.strictEqual((yield* audited(6))[4]?.reason, "BOOTING")
      assert.strictEqual((yield* behind.audited(6)).length, 6)
    })
  )

  it.scopedLive("passes cancellation through", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const behind = yield* start({
        services: [
          service(EchoService, {
            ...echo,
            one: () => Effect.zipRight(Deferred.succeed(started, undefined), Effect.never)
          })
        ]
      })
      const { client, audited } = yield* start({
        services: [],
        server: { fallback: (requests, call) => behind.channel.raw(call.method, requests) }
      })
      const call = yield* Effect.fork(client.one({}))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(call)
      assert.strictEqual((yield* behind.audited(1))[0]?.code, Code.CANCELLED)
      assert.strictEqual((yield* audited(1))[0]?.code, Code.CANCELLED)
    })
  )
})
