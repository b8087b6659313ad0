import { Context, type Effect, type Scope } from "effect"
import type { McpAgentService } from "../gen/mcp/v1/mcp_pb.ts"
import type { GrpcClient } from "../grpc/client.ts"
import type { RpcError } from "../grpc/status.ts"
import type { CaUnreadable, TokenError } from "./CliError.ts"

/** Where a node's agent listens, as the operator's config says. */
export interface NodeConfig {
  readonly name: string
  /** `host:port`, tried in order. */
  readonly addresses: readonly [string, ...Array<string>]
  /** A PEM file; Node's own authorities when absent. */
  readonly caCert: string | undefined
  readonly arch: string | undefined
}

export type AgentClient = GrpcClient<typeof McpAgentService>

export type ConnectError = RpcError | TokenError | CaUnreadable

/** The agents of all nodes, called with the operator's own token. */
export class Agents extends Context.Tag("mcp/Agents")<
  Agents,
  {
    /** The connection lasts as long as the scope; with one address nothing is sent before the first call. `bulk`: for files. */
    readonly connect: (node: NodeConfig, use?: "bulk") => Effect.Effect<AgentClient, ConnectError, Scope.Scope>
  }
>() {}
