import { Server } from "@grpc/grpc-js"
import { Context, Deferred, type Duration, Effect, FiberId, FiberSet, Schema, type Scope } from "effect"
import { type CallInfo, withCall } from "./CallInfo.ts"
import * as limits from "./limits.ts"
import { bridge, type Method, type Start } from "./ServerCall.ts"
import { type GrpcService, type RawHandler, rawMethod } from "./service.ts"
import { Code, plainError, RpcError } from "./status.ts"
import { type CertificateError, type CertificateSource, serverCredentials } from "./tls.ts"

/** The server's address cannot be listened on. */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  address: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot listen on ${this.address}: ${this.problem}`
  }
}

/**
 * Runs around every call, those to unknown methods included, before its first request message is read. To refuse, fail
 * instead of running `run`; to identify the caller, provide `P` to it; to learn the outcome, `onOutcome(run, call, …)`.
 * `run` lasts as long as the call, whole streams included, and may be raced or timed out.
 */
export type Interceptor<P, R> = (
  call: CallInfo,
  run: Effect.Effect<void, RpcError, P>
) => Effect.Effect<void, RpcError, R>

/** How a server is made. */
export interface ServerOptions<P, R, H> {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly certificate: CertificateSource
  readonly services: ReadonlyArray<GrpcService<H>>
  readonly interceptor: Interceptor<P, R>
  /** Takes what no service has; UNIMPLEMENTED when absent. */
  readonly fallback?: RawHandler<H>
  /** How long running calls may go on when the scope closes. */
  readonly gracePeriod?: Duration.DurationInput
  readonly maxMessageBytes?: number
  readonly maxCallsPerConnection?: number
  readonly maxCalls?: number
}

/** A listening server. */
export interface RunningServer {
  readonly port: number
  /** `host:port` */
  readonly address: string
}

const bytes = (message: Buffer) => message
const neverRun = () => {}

// grpc-js answers an unknown path by itself, past every interceptor, and has no public fallback. This one private method
// looks each path up (1.14); tests hold it. The handler is never run: the bridge takes the call before it.
const takeEveryPath = (server: Server) => {
  Object.defineProperty(server, "_retrieveHandler", {
    value: (path: string) => ({ func: neverRun, serialize: bytes, deserialize: bytes, type: "bidi", path })
  })
}

const tooMany: Method<never> = () =>
  new RpcError({
    code: Code.RESOURCE_EXHAUSTED,
    reason: "TOO_MANY_CALLS",
    detail: "the server has too many calls in flight",
    nextStep: "try again in a moment"
  })

const listen = (server: Server, address: string, credentials: Parameters<Server["bindAsync"]>[1]) =>
  Effect.async<number, ListenError>((resume) => {
    server.bindAsync(address, credentials, (error, port) =>
      resume(error === null ? Effect.succeed(port) : new ListenError({ address, problem: error.message }))
    )
  })

const stop = (server: Server, calls: FiberSet.FiberSet<void>, gracePeriod: Duration.DurationInput) =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void>()
    server.tryShutdown(() => Deferred.unsafeDone(closed, Effect.void))
    // A finalizer cannot be interrupted, and so not be timed out, unless it says so.
    yield* Effect.interruptible(Effect.timeoutOption(FiberSet.awaitEmpty(calls), gracePeriod))
    yield* FiberSet.clear(calls)
    // The interrupted calls' statuses still have to leave; a peer that does not read them is not waited for.
    yield* Effect.interruptible(Effect.timeoutOption(Deferred.await(closed), "1 second"))
    server.forceShutdown()
  })

const router = <H>(services: ReadonlyArray<GrpcService<H>>, fallback: RawHandler<H> | undefined) => {
  const known = new Map(services.map((service) => [service.typeName, service]))
  const otherwise = fallback === undefined ? undefined : rawMethod(fallback)
  return (path: string): Method<H> =>
    known.get(path.slice(1, path.lastIndexOf("/")))?.method(path) ??
    otherwise ??
    (() => plainError(Code.UNIMPLEMENTED, `this server has no method ${path}`))
}

/** Serves until the scope closes: then no call is accepted, running ones have the grace period, and the rest are interrupted. */
export const make = <P, R, H>(
  options: ServerOptions<P, R, H>
): Effect.Effect<RunningServer, ListenError | CertificateError, Scope.Scope | R | Exclude<H, P>> =>
  Effect.gen(function* () {
    const credentials = yield* serverCredentials(
      options.certificate,
      options.maxCallsPerConnection ?? limits.MAX_CALLS_PER_CONNECTION
    )
    const context = yield* Effect.context<R | Exclude<H, P>>()
    const calls = yield* FiberSet.make<void>()
    const fork = yield* FiberSet.runtime(calls)<R | Exclude<H, P>>()
    const find = router(options.services, options.fallback)
    const maxCalls = options.maxCalls ?? limits.MAX_CALLS
    let running = 0

    const start: Start = (call, finish) => {
      const method = running < maxCalls ? find(call.info.method) : tooMany
      running += 1
      const run = Effect.mapInputContext(
        method(call),
        // The compiler cannot see that P and Exclude<H, P> cover H.
        (provided: Context.Context<P>) => Context.merge(context, provided) as Context.Context<H>
      )
      const fiber = fork(
        Effect.suspend(() => options.interceptor(call.info, run)).pipe(
          Effect.onExit((exit) => {
            running -= 1
            return finish(exit)
          }),
          (effect) => withCall(effect, call.info),
          Effect.exit,
          Effect.asVoid
        )
      )
      return () => fiber.unsafeInterruptAsFork(FiberId.none)
    }

    const server = new Server({
      interceptors: [bridge(start)],
      "grpc.enable_channelz": 0,
      "grpc.max_receive_message_length": options.maxMessageBytes ?? limits.MAX_MESSAGE_BYTES,
      "grpc.keepalive_time_ms": limits.KEEPALIVE_TIME_MS,
      "grpc.keepalive_timeout_ms": limits.KEEPALIVE_TIMEOUT_MS
    })
    takeEveryPath(server)

    yield* Effect.addFinalizer(() => stop(server, calls, options.gracePeriod ?? limits.GRACE_PERIOD_MS))
    const host = options.host.includes(":") ? `[${options.host}]` : options.host
    const port = yield* listen(server, `${host}:${options.port}`, credentials)
    return { port, address: `${host}:${port}` }
  })
