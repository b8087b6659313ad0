import type { Metadata } from "@grpc/grpc-js"
import { Effect, type Exit, FiberRef } from "effect"
import type { Code } from "./status.ts"

/** The metadata of a request. */
export interface CallMetadata {
  /** The first value; names are case-insensitive. */
  readonly get: (name: string) => string | undefined
  readonly getAll: (name: string) => ReadonlyArray<string>
  /** Everything but gRPC's own headers, binary values too: what a proxy passes on. */
  readonly entries: () => Array<[name: string, value: string | Uint8Array]>
}

/** What a call is about, as its handler says, for the audit line. */
export interface CallAnnotations {
  service?: string
  component?: string
  [name: string]: string | undefined
}

/** How a call ended. */
export interface CallOutcome {
  readonly code: Code
  /** The reason of an error; the code's name otherwise. */
  readonly reason: string
  readonly durationMs: number
}

/** One call, as interceptor and handler see it. */
export interface CallInfo {
  /** `/mcp.v1.McpAgentService/Deploy` */
  readonly method: string
  readonly metadata: CallMetadata
  /** `100.64.0.9:51234` */
  readonly peer: string
  /** Milliseconds since the epoch. */
  readonly deadline: number | undefined
  readonly requestId: string
  readonly annotations: CallAnnotations
  /** What an exit of this call means on the wire: interruption is told apart into deadline, cancellation and shutdown. */
  readonly outcome: (exit: Exit.Exit<unknown, unknown>) => CallOutcome
}

const current = FiberRef.unsafeMake<CallInfo | undefined>(undefined)

/** Says what the call under way is about; does nothing outside of one. */
export const annotateCall = (annotations: CallAnnotations): Effect.Effect<void> =>
  Effect.map(FiberRef.get(current), (call) => {
    if (call !== undefined) Object.assign(call.annotations, annotations)
  })

/** The call under way, if the fiber belongs to one. */
export const currentCall: Effect.Effect<CallInfo | undefined> = FiberRef.get(current)

/** Runs an effect as part of a call. */
export const withCall = <A, E, R>(effect: Effect.Effect<A, E, R>, call: CallInfo): Effect.Effect<A, E, R> =>
  Effect.locally(effect, current, call)

/** Reports how a call ended, exactly once, whatever ended it: for an interceptor's audit line. */
export const onOutcome = <A, E, R, R2>(
  effect: Effect.Effect<A, E, R>,
  call: CallInfo,
  report: (outcome: CallOutcome) => Effect.Effect<void, never, R2>
): Effect.Effect<A, E, R | R2> => Effect.onExit(effect, (exit) => report(call.outcome(exit)))

const text = (value: string | Buffer) => (typeof value === "string" ? value : value.toString("base64"))

/** A read-only view of grpc-js metadata. */
export const callMetadata = (metadata: Metadata): CallMetadata => ({
  get: (name) => {
    const [value] = metadata.get(name)
    return value === undefined ? undefined : text(value)
  },
  getAll: (name) => metadata.get(name).map(text),
  entries: () =>
    Object.keys(metadata.getMap())
      .filter((name) => !name.startsWith("grpc-") && name !== "user-agent")
      .flatMap((name) => metadata.get(name).map((value): [string, string | Uint8Array] => [name, value]))
})
