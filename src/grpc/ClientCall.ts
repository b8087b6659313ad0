import { type Channel, connectivityState, type Metadata, type StatusObject } from "@grpc/grpc-js"
import { Effect, Fiber, Option, Stream } from "effect"
import { errorOf } from "./connectError.ts"
import { Code, plainError, type RpcError } from "./status.ts"

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

/** What a call needs to start. */
export interface CallStart {
  readonly channel: Channel
  readonly address: string
  readonly path: string
  readonly deadline: number
  readonly connectTimeout: number
  readonly metadata: Metadata
}

// grpc-js itself would wait for the kernel to give a silent address up: two minutes.
const whileConnecting = (channel: Channel, timeout: number, giveUp: () => void): (() => void) => {
  if (channel.getConnectivityState(true) === connectivityState.READY) return () => {}
  let waiting = true
  const timer = setTimeout(giveUp, timeout)
  const stop = () => {
    waiting = false
    clearTimeout(timer)
  }
  const watch = () => {
    const state = channel.getConnectivityState(false)
    if (state === connectivityState.READY) return stop()
    if (!waiting || state === connectivityState.SHUTDOWN) return
    channel.watchConnectivityState(state, Date.now() + timeout, (passed) => {
      if (passed === undefined) watch()
    })
  }
  watch()
  return stop
}

const buffer = (message: Uint8Array) => Buffer.from(message.buffer, message.byteOffset, message.byteLength)

const begin = ({ channel, connectTimeout, deadline, path }: CallStart) => {
  const call = channel.createCall(path, deadline, null, null, null)
  const stopWaiting = whileConnecting(channel, connectTimeout, () =>
    call.cancelWithStatus(Code.UNAVAILABLE, `no connection within ${connectTimeout} ms`)
  )
  return { call, stopWaiting }
}

/** One request, one response, without the stream's machinery; interruption cancels the call. */
export const unary = (start: CallStart, request: Uint8Array): Effect.Effect<Uint8Array, RpcError> =>
  Effect.async((resume) => {
    let response: Buffer | undefined
    let ended = false
    const { call, stopWaiting } = begin(start)
    call.start(start.metadata, {
      onReceiveMetadata: stopWaiting,
      onReceiveMessage: (message: Buffer) => {
        response = message
        call.startRead()
      },
      onReceiveStatus: (status) => {
        ended = true
        stopWaiting()
        if (status.code !== Code.OK) return resume(Effect.fail(errorOf(start.address, status)))
        resume(response === undefined ? plainError(Code.INTERNAL, "no response came") : Effect.succeed(response))
      }
    })
    call.startRead()
    call.sendMessageWithContext({}, buffer(request))
    call.halfClose()
    return Effect.sync(() => {
      stopWaiting()
      if (!ended) call.cancelWithStatus(Code.CANCELLED, "cancelled by the client")
    })
  })

/** Starts a call of any kind; `cancel` does nothing once it has ended. */
export const startCall = (start: CallStart): { readonly call: ClientCall; readonly cancel: Effect.Effect<void> } => {
  const { address, metadata } = start
  let ended: StatusObject | undefined
  let reader: ((result: Effect.Effect<Uint8Array | undefined, RpcError>) => void) | undefined
  const end = () =>
    ended === undefined || ended.code === Code.OK ? Effect.succeed(undefined) : Effect.fail(errorOf(address, ended))
  const deliver = (result: Effect.Effect<Uint8Array | undefined, RpcError>) => {
    const read = reader
    reader = undefined
    read?.(result)
  }
  const { call, stopWaiting } = begin(start)
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
  const send = (message: Uint8Array, callback: () => void) => call.sendMessageWithContext({ callback }, buffer(message))
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
