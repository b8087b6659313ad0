import {
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape
} from "@bufbuild/protobuf"
import { type Duration, Effect, type Scope, Stream } from "effect"
import { type ClientCall, responses } from "./ClientCall.ts"
import * as Channel from "./channel.ts"
import { binaryOf } from "./encoded.ts"
import { methodPath } from "./service.ts"
import { Code, RpcError } from "./status.ts"
import type { CertificateError } from "./tls.ts"

type Init<M extends DescMethod> = MessageInitShape<M["input"]>
type Out<M extends DescMethod> = MessageShape<M["output"]>

/** One RPC as a function, by its kind. */
export type ClientMethod<M extends DescMethod> = M["methodKind"] extends "unary"
  ? (request: Init<M>, options?: Channel.CallOptions) => Effect.Effect<Out<M>, RpcError>
  : M["methodKind"] extends "server_streaming"
    ? (request: Init<M>, options?: Channel.CallOptions) => Stream.Stream<Out<M>, RpcError>
    : M["methodKind"] extends "client_streaming"
      ? <E, R>(
          requests: Stream.Stream<Init<M>, E, R>,
          options?: Channel.CallOptions
        ) => Effect.Effect<Out<M>, RpcError | E, R>
      : <E, R>(
          requests: Stream.Stream<Init<M>, E, R>,
          options?: Channel.CallOptions
        ) => Stream.Stream<Out<M>, RpcError | E, R>

/** A method for each RPC of a service. Interrupting a call, or leaving its stream, cancels it on the server. */
export type GrpcClient<S extends DescService> = { readonly [K in keyof S["method"]]: ClientMethod<S["method"][K]> }

/** How a client is made. */
export interface ClientOptions extends Channel.ChannelOptions {
  /** For unary calls that set no timeout; streams have none unless the call sets one. */
  readonly deadline?: Duration.DurationInput
}

const unreadable = (method: DescMethod) =>
  new RpcError({
    code: Code.INTERNAL,
    reason: "RESPONSE_MALFORMED",
    detail: `the answer is not a ${method.output.typeName}`,
    nextStep: "use a client that was made for this server's version"
  })

const build = (method: DescMethod, channel: Channel.GrpcChannel, unaryTimeout: Duration.DurationInput | undefined) => {
  const path = methodPath(method)
  const encode = (message: Record<string, unknown>) => binaryOf(method.input, message)
  const decode = (bytes: Uint8Array) =>
    Effect.try({ try: () => fromBinary(method.output, bytes), catch: () => unreadable(method) })
  const single = (call: ClientCall) =>
    Effect.flatMap(call.read, (message) =>
      message === undefined ? Effect.fail(unreadable(method)) : Effect.zipLeft(decode(message), call.read)
    )
  const encoded = (requests: Stream.Stream<Record<string, unknown>, unknown, unknown>) => Stream.map(requests, encode)
  switch (method.methodKind) {
    case "unary":
      return (request: Record<string, unknown>, options: Channel.CallOptions = {}) =>
        Effect.flatMap(
          Effect.suspend(() =>
            channel.unary(
              path,
              encode(request),
              unaryTimeout === undefined ? options : { timeout: unaryTimeout, ...options }
            )
          ),
          decode
        )
    case "server_streaming":
      return (request: Record<string, unknown>, options?: Channel.CallOptions) =>
        Stream.unwrapScoped(
          Effect.flatMap(channel.open(path, options), (call) =>
            Effect.as(
              Effect.suspend(() => call.writeOnly(encode(request))),
              Stream.mapEffect(responses(call), decode)
            )
          )
        )
    case "client_streaming":
      return (requests: Stream.Stream<Record<string, unknown>, unknown, unknown>, options?: Channel.CallOptions) =>
        Effect.scoped(
          Effect.flatMap(channel.open(path, options), (call) =>
            Effect.raceFirst(
              single(call),
              Effect.zipRight(
                Effect.zipRight(Stream.runForEach(encoded(requests), call.write), call.halfClose),
                Effect.never
              )
            )
          )
        )
    case "bidi_streaming":
      return (requests: Stream.Stream<Record<string, unknown>, unknown, unknown>, options?: Channel.CallOptions) =>
        Stream.mapEffect(channel.raw(path, encoded(requests), options), decode)
  }
}

/** A client on a channel that others may use too. */
export const fromChannel = <S extends DescService>(
  descriptor: S,
  channel: Channel.GrpcChannel,
  options?: Pick<ClientOptions, "deadline">
): GrpcClient<S> =>
  Object.fromEntries(
    descriptor.methods.map((method) => [method.localName, build(method, channel, options?.deadline)])
    // Keys and kinds come from the same descriptor as the type.
  ) as unknown as GrpcClient<S>

/** A client with a connection of its own, closed with the scope. */
export const make = <S extends DescService>(
  descriptor: S,
  options: ClientOptions
): Effect.Effect<GrpcClient<S>, CertificateError, Scope.Scope> =>
  Effect.map(Channel.make(options), (channel) => fromChannel(descriptor, channel, options))
