import {
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape
} from "@bufbuild/protobuf"
import { Effect, Stream } from "effect"
import type { CallInfo } from "./CallInfo.ts"
import { binaryOf } from "./encoded.ts"
import { type Method, requests, type ServerCall } from "./ServerCall.ts"
import { Code, RpcError } from "./status.ts"

/** The handler of one RPC, by its kind. */
export type Handler<M extends DescMethod, E, R> = M["methodKind"] extends "unary"
  ? (request: MessageShape<M["input"]>, call: CallInfo) => Effect.Effect<MessageInitShape<M["output"]>, E, R>
  : M["methodKind"] extends "server_streaming"
    ? (request: MessageShape<M["input"]>, call: CallInfo) => Stream.Stream<MessageInitShape<M["output"]>, E, R>
    : M["methodKind"] extends "client_streaming"
      ? (
          requests: Stream.Stream<MessageShape<M["input"]>, RpcError>,
          call: CallInfo
        ) => Effect.Effect<MessageInitShape<M["output"]>, E, R>
      : (
          requests: Stream.Stream<MessageShape<M["input"]>, RpcError>,
          call: CallInfo
        ) => Stream.Stream<MessageInitShape<M["output"]>, E, R>

/**
 * A handler for each RPC of a service. Request streams are pulled: nothing is read that was not asked for. A request
 * stream that ends is no proof of a whole upload (see `requests`): compare its size or digest before using it.
 */
export type Handlers<S extends DescService, E = unknown, R = unknown> = {
  readonly [K in keyof S["method"]]: Handler<S["method"][K], E, R>
}

type Result<H> = H extends (...args: never) => infer A ? A : never
type Needs<A> =
  A extends Effect.Effect<infer _A, infer _E, infer R>
    ? R
    : A extends Stream.Stream<infer _A, infer _E, infer R>
      ? R
      : never

/** What handlers need. */
export type HandlersContext<H> = { [K in keyof H]: Needs<Result<H[K]>> }[keyof H]

/** A service as the server takes it; `descriptor` is what reflection tells of it. */
export interface GrpcService<R> {
  readonly typeName: string
  readonly descriptor: DescService | undefined
  readonly method: (path: string) => Method<R> | undefined
}

/** The path of an RPC on the wire. */
export const methodPath = (method: DescMethod): string => `/${method.parent.typeName}/${method.name}`

const decode = <M extends DescMethod>(
  method: M,
  bytes: Uint8Array
): Effect.Effect<MessageShape<M["input"]>, RpcError> =>
  Effect.try({
    try: () => fromBinary<M["input"]>(method.input, bytes),
    catch: () =>
      new RpcError({
        code: Code.INVALID_ARGUMENT,
        reason: "REQUEST_MALFORMED",
        detail: `not a ${method.input.typeName}`,
        nextStep: "use a client that was made for this server's version"
      })
  })

const first = <M extends DescMethod>(method: M, call: ServerCall) =>
  Effect.flatMap(call.read, (bytes) =>
    bytes === undefined
      ? new RpcError({ code: Code.INVALID_ARGUMENT, reason: "REQUEST_MISSING", detail: "the call carried no request" })
      : decode(method, bytes)
  )

const run = (method: DescMethod, handler: unknown, toRpcError: (error: unknown) => RpcError): Method<unknown> => {
  // The types of Handlers hold the four shapes together; from a descriptor at run time they cannot be derived again.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  const handle = handler as (request: unknown, call: CallInfo) => any
  const encode = (message: Record<string, unknown>) => binaryOf(method.output, message)
  const mapError = (error: unknown) => (error instanceof RpcError ? error : toRpcError(error))
  const takesStream = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming"
  const givesStream = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming"
  const respond = (call: ServerCall, request: unknown): Effect.Effect<void, RpcError, unknown> =>
    givesStream
      ? Stream.suspend(
          () => handle(request, call.info) as Stream.Stream<Record<string, unknown>, unknown, unknown>
        ).pipe(
          Stream.mapError(mapError),
          Stream.runForEach((message) => call.write(encode(message)))
        )
      : Effect.suspend(
          () => handle(request, call.info) as Effect.Effect<Record<string, unknown>, unknown, unknown>
        ).pipe(
          Effect.mapError(mapError),
          Effect.flatMap((message) => call.write(encode(message)))
        )
  return (call) =>
    takesStream
      ? respond(
          call,
          Stream.mapEffect(requests(call), (bytes) => decode(method, bytes))
        )
      : Effect.flatMap(first(method, call), (request) => respond(call, request))
}

/**
 * A service with its handlers. They may fail with what `toRpcError` takes, and with RpcError: an error that it does not
 * know does not compile.
 */
export function service<S extends DescService, const H extends Handlers<S, RpcError>>(
  descriptor: S,
  handlers: H
): GrpcService<HandlersContext<H>>
export function service<S extends DescService, E, const H extends Handlers<S, E | RpcError>>(
  descriptor: S,
  handlers: H,
  toRpcError: (error: E) => RpcError
): GrpcService<HandlersContext<H>>
export function service<S extends DescService, E, const H extends Handlers<S, E | RpcError>>(
  descriptor: S,
  handlers: H,
  toRpcError?: (error: E) => RpcError
): GrpcService<HandlersContext<H>> {
  const mapError = (toRpcError ?? (() => undefined)) as (error: unknown) => RpcError
  const methods = new Map(
    descriptor.methods.map((method) => [
      methodPath(method),
      run(method, handlers[method.localName as keyof H], mapError) as Method<HandlersContext<H>>
    ])
  )
  return { typeName: descriptor.typeName, descriptor, method: (path) => methods.get(path) }
}

/** Handles any RPC of any kind as bytes: a request stream in, a response stream out. */
export type RawHandler<R> = (
  requests: Stream.Stream<Uint8Array>,
  call: CallInfo
) => Stream.Stream<Uint8Array, RpcError, R>

/** A raw handler as a method. */
export const rawMethod =
  <R>(handler: RawHandler<R>): Method<R> =>
  (call) =>
    Stream.runForEach(
      Stream.suspend(() => handler(requests(call), call.info)),
      call.write
    )

/** Every method of a service, those it does not know included, through one raw handler; give the descriptor for reflection. */
export const rawService = <R>(of: DescService | string, handler: RawHandler<R>): GrpcService<R> => {
  const typeName = typeof of === "string" ? of : of.typeName
  const method = rawMethod(handler)
  return {
    typeName,
    descriptor: typeof of === "string" ? undefined : of,
    method: (path) => (path.startsWith(`/${typeName}/`) ? method : undefined)
  }
}
