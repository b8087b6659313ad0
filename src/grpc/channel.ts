import { Channel, Metadata } from "@grpc/grpc-js"
import { Duration, Effect, type Scope, Stream } from "effect"
import { type CallStart, type ClientCall, exchange, startCall, unary } from "./ClientCall.ts"
import * as limits from "./limits.ts"
import type { RpcError } from "./status.ts"
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
  readonly flowControlWindow?: number
}

/** What one call may set. */
export interface CallOptions {
  readonly timeout?: Duration.DurationInput
  /** Milliseconds since the epoch, as CallInfo has it; the earlier of the two holds. */
  readonly deadline?: number | undefined
  readonly metadata?: Readonly<Record<string, string>> | Iterable<readonly [string, string | Uint8Array]>
}

/** A connection to one server, made at the first call and again when it breaks. */
export interface GrpcChannel {
  readonly address: string
  /** A call, cancelled when the scope closes before its end. */
  readonly open: (path: string, options?: CallOptions) => Effect.Effect<ClientCall, RpcError, Scope.Scope>
  /** One request, one response. */
  readonly unary: (path: string, request: Uint8Array, options?: CallOptions) => Effect.Effect<Uint8Array, RpcError>
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

const none = Effect.succeed({})

const toMetadata = (...sources: ReadonlyArray<CallOptions["metadata"]>) => {
  const metadata = new Metadata()
  for (const source of sources) {
    for (const [name, value] of entries(source)) {
      metadata.add(name, typeof value === "string" ? value : Buffer.from(value))
    }
  }
  return metadata
}

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
            "grpc-node.flow_control_window": options.flowControlWindow ?? limits.FLOW_CONTROL_WINDOW,
            "grpc.keepalive_time_ms": limits.KEEPALIVE_TIME_MS,
            "grpc.keepalive_timeout_ms": limits.KEEPALIVE_TIMEOUT_MS
          })
      ),
      (channel) => Effect.sync(() => channel.close())
    )
    const connectTimeout = Duration.toMillis(options.connectTimeout ?? limits.CONNECT_TIMEOUT_MS)
    const prepare = (path: string, call: CallOptions = {}): Effect.Effect<CallStart, RpcError> =>
      Effect.map(options.metadata ?? none, (found) => {
        const timeout = call.timeout === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(call.timeout)
        return {
          channel,
          address,
          path,
          connectTimeout,
          deadline: Math.min(Date.now() + timeout, call.deadline ?? Number.POSITIVE_INFINITY),
          metadata: toMetadata(found, call.metadata)
        }
      })
    const open: GrpcChannel["open"] = (path, call) =>
      Effect.flatMap(prepare(path, call), (start) =>
        Effect.map(
          Effect.acquireRelease(
            Effect.sync(() => startCall(start)),
            ({ cancel }) => cancel
          ),
          (started) => started.call
        )
      )
    const raw: GrpcChannel["raw"] = (path, requests, call) =>
      Stream.unwrapScoped(Effect.map(open(path, call), (opened) => exchange(opened, requests)))
    return {
      address,
      open,
      raw,
      unary: (path, request, call) => Effect.flatMap(prepare(path, call), (start) => unary(start, request))
    }
  })
