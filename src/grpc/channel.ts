import { Channel, connectivityState, Metadata, type StatusObject } from "@grpc/grpc-js"
import { Duration, Effect, Fiber, Option, type Scope, Stream } from "effect"
import { errorOf } from "./connectError.ts"
import * as limits from "./limits.ts"
import { Code, type RpcError } from "./status.ts"
import { type CertificateError, type ClientTls, clientCredentials } from "./tls.ts"

/** Where and how to connect. */
export interface ChannelOptions extends ClientTls {
  /** `host:port`, an IPv6 host in brackets. */
  readonly address: string
  /** Looked up for each call: the token goes here. */
  readonly metadata?: Effect.Effect<Readonly<Record<string, string>>, RpcError>
  /** How long TCP and TLS may take. */
  readonly connectTimeout?: Duration.DurationInput
  readonly maxMessageBytes?: number
}

/** What one call may set. */
export interface CallOptions {
  readonly timeout?: Duration.DurationInput
  /** Milliseconds since the epoch, as CallInfo has it; the earlier of the two holds. */
  readonly deadline?: number | undefined
  readonly metadata?: Readonly<Record<string, string>> | Iterable<readonly [string, string | Uint8Array]>
}

/** One running call, in bytes. */
export interface ClientCall {
  /** The next response message, asked of the peer only now; `undefined` at the end when the call went well. */
  readonly read: Effect.Effect<Uint8Array | undefined, RpcError>
  /** Waits when the peer reads slower than we write, and for ever once the call has ended: race it with `read`. */
  readonly write: (message: Uint8Array) => Effect.Effect<void>
  readonly halfClose: Effect.Effect<void>
  /** A request that is the only one. */
  readonly writeOnly: (message: Uint8Array) => Effect.Effect<void>
}

/** A connection to one server, made at the first call and again when it breaks. */
export interface GrpcChannel {
  readonly address: string
  /** A call, cancelled when the scope closes before its end. */
  readonly open: (path: string, options?: CallOptions) => Effect.Effect<ClientCall, RpcError, Scope.Scope>
  /** Any RPC of any kind as bytes: for proxies. */
  readonly raw: <E, R>(
    path: string,
    requests: Stream.Stream<Uint8Array, E, R>,
    options?: CallOptions
  ) => Stream.Stream<Uint8Array, RpcError | E, R>
}

const entries = (metadata: CallOptions["metadata"]): Iterable<readonly [string, string | Uint8Array]> =>
  metadata === undefined
    ? []
    : Symbol.iterator in metadata
      ? (metadata as Iterable<readonly [string, string | Uint8Array]>)
      : Object.entries(metadata)

const toMetadata = (...sources: ReadonlyArray<CallOptions["metadata"]>) => {
  const metadata = new Metadata()
  for (const source of sources) {
    for (const [name, value] of entries(source)) {
      metadata.add(name, typeof value === "string" ? value : Buffer.from(value))
    }
  }
  return metadata
}

// grpc-js itself would wait for the kernel to give a silent address up: two minutes.
const whileConnecting = (channel: Channel, timeout: number, giveUp: () => void): (() => void) => {
  if (channel.getConnectivityState(true) === connectivityState.READY) return () => {}
  const timer = setTimeout(giveUp, timeout)
  const watch = () => {
    const state = channel.getConnectivityState(false)
    if (state === connectivityState.READY) clearTimeout(timer)
    else if (state !== connectivityState.SHUTDOWN) {
      channel.watchConnectivityState(state, Date.now() + timeout, (passed) => {
        if (passed === undefined) watch()
      })
    }
  }
  watch()
  return () => clearTimeout(timer)
}

const startCall = (
  channel: Channel,
  address: string,
  path: string,
  deadline: number,
  connectTimeout: number,
  metadata: Metadata
) => {
  let ended: StatusObject | undefined
  let reader: ((result: Effect.Effect<Uint8Array | undefined, RpcError>) => void) | undefined
  const end = () =>
    ended === undefined || ended.code === Code.OK ? Effect.succeed(undefined) : Effect.fail(errorOf(address, ended))
  const deliver = (result: Effect.Effect<Uint8Array | undefined, RpcError>) => {
    const read = reader
    reader = undefined
    read?.(result)
  }
  const call = channel.createCall(path, deadline, null, null, null)
  const stopWaiting = whileConnecting(channel, connectTimeout, () =>
    call.cancelWithStatus(Code.UNAVAILABLE, `no connection within ${connectTimeout} ms`)
  )
  call.start(metadata, {
    onReceiveMetadata: stopWaiting,
    onReceiveMessage: (message: Buffer) => deliver(Effect.succeed(message)),
    onReceiveStatus: (status) => {
      stopWaiting()
      ended = status
      deliver(end())
    }
  })
  const read = Effect.async<Uint8Array | undefined, RpcError>((resume) => {
    if (ended !== undefined) return resume(end())
    reader = resume
    call.startRead()
  })
  const send = (message: Uint8Array, callback: () => void) =>
    call.sendMessageWithContext({ callback }, Buffer.from(message.buffer, message.byteOffset, message.byteLength))
  // One at a time: before the connection stands, grpc-js keeps one message alone.
  const write = (message: Uint8Array) => Effect.async<void>((resume) => send(message, () => resume(Effect.void)))
  const halfClose = Effect.sync(() => call.halfClose())
  const writeOnly = (message: Uint8Array) =>
    Effect.sync(() => {
      send(message, () => {})
      call.halfClose()
    })
  const cancel = Effect.sync(() => {
    stopWaiting()
    if (ended === undefined) call.cancelWithStatus(Code.CANCELLED, "cancelled by the client")
  })
  return { call: { read, write, halfClose, writeOnly }, cancel }
}

/** The responses of a call, pulled one by one; what already arrived is dropped when the call fails, as grpc-js does it. */
export const responses = (call: ClientCall): Stream.Stream<Uint8Array, RpcError> =>
  Stream.repeatEffectOption(
    call.read.pipe(
      Effect.mapError(Option.some),
      Effect.flatMap((message) => (message === undefined ? Effect.fail(Option.none()) : Effect.succeed(message)))
    )
  )

/** Connects lazily; closing the scope closes the connection. */
export const make = (options: ChannelOptions): Effect.Effect<GrpcChannel, CertificateError, Scope.Scope> =>
  Effect.gen(function* () {
    const { address } = options
    const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1")
    const { credentials, sni } = yield* clientCredentials(host, options)
    const channel = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Channel(address, credentials, {
            "grpc.ssl_target_name_override": sni,
            "grpc.enable_channelz": 0,
            // An operator's https_proxy is for the web, not for nodes on the overlay network.
            "grpc.enable_http_proxy": 0,
            "grpc.service_config_disable_resolution": 1,
            "grpc.use_local_subchannel_pool": 1,
            "grpc.initial_reconnect_backoff_ms": limits.RECONNECT_MIN_MS,
            "grpc.max_reconnect_backoff_ms": limits.RECONNECT_MAX_MS,
            "grpc.per_rpc_retry_buffer_size": limits.RETRY_BUFFER_BYTES,
            "grpc.max_receive_message_length": options.maxMessageBytes ?? limits.MAX_MESSAGE_BYTES,
            "grpc-node.flow_control_window": limits.FLOW_CONTROL_WINDOW,
            "grpc.keepalive_time_ms": limits.KEEPALIVE_TIME_MS,
            "grpc.keepalive_timeout_ms": limits.KEEPALIVE_TIMEOUT_MS
          })
      ),
      (channel) => Effect.sync(() => channel.close())
    )
    const connectTimeout = Duration.toMillis(options.connectTimeout ?? limits.CONNECT_TIMEOUT_MS)
    const open: GrpcChannel["open"] = Effect.fnUntraced(function* (path, call = {}) {
      const metadata = toMetadata(yield* options.metadata ?? Effect.succeed({}), call.metadata)
      const timeout = call.timeout === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(call.timeout)
      const deadline = Math.min(Date.now() + timeout, call.deadline ?? Number.POSITIVE_INFINITY)
      const started = yield* Effect.acquireRelease(
        Effect.sync(() => startCall(channel, address, path, deadline, connectTimeout, metadata)),
        ({ cancel }) => cancel
      )
      return started.call
    })
    const raw: GrpcChannel["raw"] = (path, requests, call) =>
      Stream.unwrapScoped(Effect.map(open(path, call), (opened) => exchange(opened, requests)))
    return { address, open, raw }
  })

/** Sends while it receives. A request stream that fails ends the responses with its error, and so cancels the call. */
export const exchange = <E, R>(
  call: ClientCall,
  requests: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<Uint8Array, RpcError | E, R> =>
  Stream.unwrapScoped(
    Effect.map(Effect.forkScoped(Effect.zipRight(Stream.runForEach(requests, call.write), call.halfClose)), (sending) =>
      responses(call).pipe(Stream.interruptWhen(Effect.zipRight(Fiber.join(sending), Effect.never)))
    )
  )
