import { readFile } from "node:fs/promises"
import { Effect, Layer, Redacted, Scope } from "effect"
import { McpAgentService } from "../gen/mcp/v1/mcp_pb.ts"
import * as GrpcClient from "../grpc/client.ts"
import { BULK_WINDOW } from "../grpc/limits.ts"
import { Code, type RpcError } from "../grpc/status.ts"
import { type AgentClient, Agents, type NodeConfig } from "../services/Agents.ts"
import { CaUnreadable } from "../services/CliError.ts"
import { TokenStore } from "../services/TokenStore.ts"
import { whyNot } from "./fileError.ts"

const KNOCK_MS = 3_000

const readCa = ({ caCert, name }: NodeConfig) =>
  caCert === undefined
    ? Effect.succeed(undefined)
    : Effect.tryPromise({
        try: () => readFile(caCert, "utf8"),
        catch: (error) => new CaUnreadable({ node: name, file: caCert, why: whyNot(error) })
      })

/** The first address at which an agent answers; which one is in use is not known before. */
const firstThatAnswers = <E>(
  candidates: readonly [Effect.Effect<AgentClient, E>, ...Array<Effect.Effect<AgentClient, E>>]
): Effect.Effect<AgentClient, E | RpcError> => {
  const knock = (candidate: Effect.Effect<AgentClient, E>) =>
    Effect.tap(candidate, (client) =>
      client.healthCheck({}, { timeout: KNOCK_MS }).pipe(
        // An agent that says no is one, too.
        Effect.catchIf(
          (error) => error.code !== Code.UNAVAILABLE && error.code !== Code.DEADLINE_EXCEEDED,
          () => Effect.void
        )
      )
    )
  const [first, ...others] = candidates
  return others.reduce<Effect.Effect<AgentClient, E | RpcError>>(
    (before, candidate) => Effect.orElse(before, () => knock(candidate)),
    knock(first)
  )
}

/** gRPC over TLS 1.3, the operator's token with every call. */
export const layer: Layer.Layer<Agents, never, TokenStore> = Layer.effect(
  Agents,
  Effect.gen(function* () {
    const store = yield* TokenStore
    return {
      connect: (node, use) =>
        Effect.gen(function* () {
          const token = yield* store.read
          const caCert = yield* readCa(node)
          const scope = yield* Effect.scope
          const metadata = Effect.succeed({ authorization: `Bearer ${Redacted.value(token)}` })
          const client = (address: string) =>
            GrpcClient.make(McpAgentService, {
              address,
              metadata,
              ...(use === "bulk" ? { flowControlWindow: BULK_WINDOW } : {}),
              ...(caCert === undefined ? {} : { caCert })
            }).pipe(
              Effect.mapError((e) => new CaUnreadable({ node: node.name, file: node.caCert ?? "", why: e.problem })),
              Effect.provideService(Scope.Scope, scope)
            )
          const [first, ...others] = node.addresses
          return others.length === 0
            ? yield* client(first)
            : yield* firstThatAnswers([client(first), ...others.map(client)])
        })
    }
  })
)
