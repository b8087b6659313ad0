import { Context, Data, Effect, Ref, Stream } from "effect"
import type { CallInfo, CallOutcome } from "../../src/grpc/CallInfo.ts"
import { onOutcome } from "../../src/grpc/CallInfo.ts"
import * as GrpcChannel from "../../src/grpc/channel.ts"
import * as GrpcClient from "../../src/grpc/client.ts"
import * as GrpcServer from "../../src/grpc/server.ts"
import type { GrpcService } from "../../src/grpc/service.ts"
import { type Handlers, service } from "../../src/grpc/service.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { issue, makeCa } from "../support/certs.ts"
import { EchoService } from "./gen/echo_pb.ts"

export const ca = await makeCa()
export const certificate = await issue(ca)

export class NotHere extends Data.TaggedError("NotHere")<{ readonly thing: string }> {}

export const toRpcError = (error: NotHere) =>
  new RpcError({ code: Code.NOT_FOUND, reason: "NOT_HERE", detail: `no ${error.thing}`, service: error.thing })

/** Who calls, as the test's interceptor provides it. */
export class Caller extends Context.Tag("test/Caller")<Caller, { readonly name: string }>() {}

export interface AuditLine extends CallOutcome {
  readonly method: string
  readonly service: string | undefined
  readonly caller: string | undefined
}

/** Each kind's plain behaviour; a test replaces what it is about. */
export const echo = {
  one: (request) => Effect.succeed({ text: request.text, count: request.count, payload: request.payload }),
  collect: (requests) => Stream.runCount(requests).pipe(Effect.map((count) => ({ count }))),
  spread: (request) => Stream.range(1, request.count).pipe(Stream.map((count) => ({ count, text: request.text }))),
  chat: (requests) => Stream.map(requests, ({ count, text }) => ({ text, count }))
} satisfies Handlers<typeof EchoService, RpcError, never>

export interface Options {
  readonly services?: ReadonlyArray<GrpcService<Caller>>
  readonly server?: Partial<GrpcServer.ServerOptions<Caller, never, Caller>>
  readonly client?: Partial<GrpcClient.ClientOptions>
}

/** A server that audits and knows callers by `authorization`, and a client that has one. */
export const start = (options: Options = {}) =>
  Effect.gen(function* () {
    const audit = yield* Ref.make<ReadonlyArray<AuditLine>>([])
    const interceptor = (call: CallInfo, run: Effect.Effect<void, RpcError, Caller>) => {
      const name = call.metadata.get("authorization")
      const refused = new RpcError({ code: Code.UNAUTHENTICATED, reason: "TOKEN_MISSING", detail: "no token" })
      return onOutcome(
        name === undefined ? Effect.fail(refused) : Effect.provideService(run, Caller, { name }),
        call,
        (outcome) =>
          Ref.update(audit, (lines) => [
            ...lines,
            { ...outcome, method: call.method, service: call.annotations.service, caller: name }
          ])
      )
    }
    const server = yield* GrpcServer.make({
      host: "127.0.0.1",
      port: 0,
      certificate,
      services: options.services ?? [service(EchoService, echo)],
      interceptor,
      ...options.server
    })
    const channelOptions = {
      address: server.address,
      caCert: ca.cert,
      metadata: Effect.succeed({ authorization: "ann" }),
      ...options.client
    }
    const channel = yield* GrpcChannel.make(channelOptions)
    const client = GrpcClient.fromChannel(EchoService, channel, channelOptions)
    /** The audit lines, once there are so many: they are written just after the client has its answer. */
    const audited = (count: number): Effect.Effect<ReadonlyArray<AuditLine>> =>
      Effect.gen(function* () {
        for (;;) {
          const lines = yield* Ref.get(audit)
          if (lines.length >= count) return lines
          yield* Effect.sleep("2 millis")
        }
      })
    return { server, channel, client, audited, options: channelOptions }
  })
