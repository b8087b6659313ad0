import { randomUUID } from "node:crypto"
import type { Http2Session, ServerHttp2Stream } from "node:http2"
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status
} from "@grpc/grpc-js"
import { Cause, Chunk, Effect, Exit, Option, Stream } from "effect"
import { type CallInfo, type CallOutcome, callMetadata } from "./CallInfo.ts"
import { CONNECTION_WINDOW, FLOW_CONTROL_WINDOW, WRITE_AHEAD_BYTES } from "./limits.ts"
import { Code, codeName, plainError, RpcError, toStatus } from "./status.ts"

/** One running call, in bytes. */
export interface ServerCall {
  readonly info: CallInfo
  /** The next request message, asked of the peer only now; `undefined` after the last. */
  readonly read: Effect.Effect<Uint8Array | undefined>
  /** Waits when the peer reads slower than we write. */
  readonly write: (message: Uint8Array) => Effect.Effect<void>
}

/** What runs a call: reads requests, writes responses, and ends it by its own end. */
export type Method<R> = (call: ServerCall) => Effect.Effect<void, RpcError, R>

/**
 * The request messages of a call, pulled one by one. Their end is no proof of a whole upload: a client in Node that
 * cancels sends END_STREAM first and the reset 1 to 3 ms later (grpc/grpc-node #205, #2583), and until then nothing here
 * can tell. An upload carries its size or digest, and is used when that matches.
 */
export const requests = (call: ServerCall): Stream.Stream<Uint8Array> =>
  Stream.repeatEffectOption(
    Effect.flatMap(call.read, (message) =>
      message === undefined ? Effect.fail(Option.none()) : Effect.succeed(message)
    )
  )

/** What a defect tells the client; the cause is in the log alone, under the request id. */
export const INTERNAL_TEXT = "internal error"

const stopping = new RpcError({
  code: Code.UNAVAILABLE,
  reason: "SERVER_STOPPING",
  detail: "the server is stopping",
  nextStep: "try again in a moment"
})

/** Starts a call's fiber and gives the way to interrupt it. */
export type Start = (call: ServerCall, finish: (exit: Exit.Exit<void, RpcError>) => Effect.Effect<void>) => () => void

// What a written message costs besides its bytes, so that many small ones cannot run far ahead.
const MESSAGE_COST = 1024

// Private in grpc-js, whose interface has no way to the connection.
const http2Stream = (call: ServerInterceptingCallInterface): ServerHttp2Stream | undefined =>
  Reflect.get(call, "stream")

// Over a long line, the default window of 64 KiB a connection would hold an upload to 64 KiB a round trip.
const widened = new WeakSet<Http2Session>()
const widen = (session: Http2Session | undefined) => {
  if (session === undefined || widened.has(session)) return
  widened.add(session)
  session.setLocalWindowSize?.(CONNECTION_WINDOW)
  session.settings?.({ initialWindowSize: FLOW_CONTROL_WINDOW })
}

class BridgedCall extends ServerInterceptingCall {
  readonly #base: ServerInterceptingCallInterface
  readonly #path: string
  readonly #begin: Start
  readonly #end: ServerInterceptingCallInterface["sendStatus"]
  readonly #startedAt = performance.now()
  #endedByGrpc: RpcError | undefined
  #cancelled = false
  #halfClosed = false
  #reader: ((message: Uint8Array | undefined) => void) | undefined
  #unwritten = 0
  #writer: (() => void) | undefined
  #interrupt = () => {}

  constructor(base: ServerInterceptingCallInterface, path: string, begin: Start) {
    super(base)
    this.#base = base
    this.#path = path
    this.#begin = begin
    widen(http2Stream(base)?.session)
    this.#end = base.sendStatus.bind(base)
    // grpc-js ends a call by itself (deadline, message too long) through this method; hearing it gives the audit the true code.
    base.sendStatus = (ended) => {
      this.#endedByGrpc ??= plainError(ended.code, ended.details)
      this.#end(ended)
    }
  }

  /** In place of grpc-js's own reader, which buffers: what runs here asks for each message. */
  override start() {
    this.#base.start({
      onReceiveMetadata: (metadata) => {
        const call = { info: this.#info(metadata), read: this.#read, write: this.#write }
        this.#interrupt = this.#begin(call, (exit) => this.#finish(call.info, exit))
      },
      onReceiveMessage: (message: Buffer) => this.#deliver(message),
      onReceiveHalfClose: () => {
        this.#halfClosed = true
        this.#deliver(undefined)
      },
      onCancel: () => {
        this.#cancelled = true
        this.#interrupt()
      }
    })
  }

  #deliver(message: Uint8Array | undefined) {
    const reader = this.#reader
    this.#reader = undefined
    reader?.(message)
  }

  readonly #read: ServerCall["read"] = Effect.async((resume) => {
    if (this.#halfClosed) return resume(Effect.succeed(undefined))
    this.#reader = (message) => resume(Effect.succeed(message))
    this.#base.startRead()
  })

  readonly #write: ServerCall["write"] = (message) =>
    Effect.suspend(() => {
      const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
      const size = Math.max(bytes.length, MESSAGE_COST)
      this.#unwritten += size
      this.#base.sendMessage(bytes, () => {
        this.#unwritten -= size
        if (this.#unwritten > WRITE_AHEAD_BYTES) return
        const writer = this.#writer
        this.#writer = undefined
        writer?.()
      })
      if (this.#unwritten <= WRITE_AHEAD_BYTES) return Effect.void
      return Effect.async<void>((resume) => {
        this.#writer = () => resume(Effect.void)
      })
    })

  #info(metadata: Metadata): CallInfo {
    const deadline = this.#base.getDeadline()
    const info: CallInfo = {
      method: this.#path,
      metadata: callMetadata(metadata),
      peer: this.#base.getPeer(),
      deadline: typeof deadline === "number" && Number.isFinite(deadline) ? deadline : undefined,
      requestId: randomUUID(),
      annotations: {},
      outcome: (exit) => this.#outcome(info, exit)
    }
    return info
  }

  /** How the call ends on the wire; `undefined` is OK. */
  #error(info: CallInfo, exit: Exit.Exit<unknown, unknown>): RpcError | undefined {
    if (Exit.isSuccess(exit)) return this.#endedByGrpc
    const failure = Cause.failureOption(exit.cause)
    if (Option.isSome(failure) && failure.value instanceof RpcError) return failure.value
    if (Option.isNone(failure) && Cause.isInterruptedOnly(exit.cause)) {
      if (this.#endedByGrpc !== undefined) return this.#endedByGrpc
      return this.#cancelled ? plainError(Code.CANCELLED, "the client cancelled") : stopping
    }
    return new RpcError({
      code: Code.INTERNAL,
      reason: "INTERNAL",
      detail: INTERNAL_TEXT,
      info: { request_id: info.requestId }
    })
  }

  #outcome(info: CallInfo, exit: Exit.Exit<unknown, unknown>): CallOutcome {
    const error = this.#error(info, exit)
    const code = error?.code ?? Code.OK
    return { code, reason: error?.reason ?? codeName(code), durationMs: performance.now() - this.#startedAt }
  }

  #finish(info: CallInfo, exit: Exit.Exit<void, RpcError>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const error = this.#error(info, exit)
      if (this.#endedByGrpc === undefined) {
        this.#end(error === undefined ? { code: status.OK, details: "OK" } : toStatus(error))
      }
      if (Exit.isSuccess(exit) || Chunk.isEmpty(Cause.defects(exit.cause))) return Effect.void
      return Effect.logError("a call died", exit.cause).pipe(
        Effect.annotateLogs({ method: info.method, requestId: info.requestId })
      )
    })
  }
}

/** Takes every call over from grpc-js before it reads a message. */
export const bridge =
  (begin: Start): ServerInterceptor =>
  (method, call) =>
    new BridgedCall(call, method.path, begin)
