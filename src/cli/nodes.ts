import { Effect, type Scope } from "effect"
import type { CallOptions } from "../grpc/channel.ts"
import { Code, RpcError } from "../grpc/status.ts"
import { type AgentClient, Agents, type ConnectError, type NodeConfig } from "../services/Agents.ts"
import { NoNodes } from "../services/CliError.ts"
import { Globals } from "./Globals.ts"
import { Settings } from "./Settings.ts"

const READ_TIMEOUT_MS = 10_000

/** Options for a call that only reads: bounded even when the operator said nothing. */
export const reading = Effect.map(Globals, ({ timeout }): CallOptions => ({ timeout: timeout ?? READ_TIMEOUT_MS }))

/** Options for a call that acts: as long as it takes, unless the operator bounds it. */
export const acting = Effect.map(Globals, ({ timeout }): CallOptions => (timeout === undefined ? {} : { timeout }))

/** An agent knows its node's name less well than we do, and a connection that failed knows it not at all. */
export const at = (node: NodeConfig) => (error: RpcError) =>
  error.node === undefined ? new RpcError({ ...error, node: node.name }) : error

/** A call that never reached the agent says nothing of the service that it was about. */
export const ofService =
  (service: string) =>
  <E>(error: E): E =>
    isRpcError(error) && error.service === undefined ? (new RpcError({ ...error, service }) as E & RpcError) : error

/** Calls one node; the connection closes afterwards. */
export const ask = <A, E, R>(
  node: NodeConfig,
  use: (client: AgentClient) => Effect.Effect<A, E | RpcError, R>
): Effect.Effect<A, E | ConnectError, Agents | Exclude<R, Scope.Scope>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const agents = yield* Agents
      return yield* use(yield* agents.connect(node))
    })
  ).pipe(Effect.mapError((error) => (isRpcError(error) ? at(node)(error) : error))) as Effect.Effect<
    A,
    E | ConnectError,
    Agents | Exclude<R, Scope.Scope>
  >

export const isRpcError = (error: unknown): error is RpcError => error instanceof RpcError

export interface Answers<A> {
  readonly answered: ReadonlyArray<{ readonly node: NodeConfig; readonly value: A }>
  readonly silent: ReadonlyArray<{ readonly node: NodeConfig; readonly error: RpcError }>
}

export const allNodes = Effect.gen(function* () {
  const { configFile, nodes } = yield* Settings
  return nodes.length === 0 ? yield* new NoNodes({ configFile }) : nodes
})

/** Asks nodes side by side. One that fails hides none of the others; a token that none accepts is an error. */
export const askAll = <A, R>(
  nodes: ReadonlyArray<NodeConfig>,
  use: (client: AgentClient, node: NodeConfig) => Effect.Effect<A, RpcError, R>
) =>
  Effect.gen(function* () {
    const results = yield* Effect.forEach(
      nodes,
      (node) =>
        ask(node, (client) => use(client, node)).pipe(
          Effect.map((value) => ({ node, value, error: undefined })),
          Effect.catchIf(isRpcError, (error) => Effect.succeed({ node, value: undefined, error }))
        ),
      { concurrency: "unbounded" }
    )
    const answered = results.flatMap((r) => (r.error === undefined ? [{ node: r.node, value: r.value as A }] : []))
    const silent = results.flatMap((r) => (r.error === undefined ? [] : [{ node: r.node, error: r.error }]))
    const refused = silent.find(({ error }) => isRefusal(error))
    if (answered.length === 0 && refused !== undefined) return yield* refused.error
    return { answered, silent } satisfies Answers<A>
  })

/** The token is at fault, not the node. */
export const isRefusal = ({ code }: RpcError): boolean =>
  code === Code.UNAUTHENTICATED || code === Code.PERMISSION_DENIED

/** The node could not be asked; anything else is its answer. */
export const isSilence = (error: RpcError): boolean =>
  isRefusal(error) || error.code === Code.UNAVAILABLE || error.code === Code.DEADLINE_EXCEEDED

/** The agent of the one service that was asked for did answer, and what it said is the answer. */
export const failIfAnswered = (silent: Answers<unknown>["silent"]): Effect.Effect<void, RpcError> =>
  silent.find(({ error }) => !isSilence(error))?.error ?? Effect.void
