import { join } from "node:path"
import { Effect, Either, Schedule, type Scope } from "effect"
import { parseDefinition } from "../../src/domain/Definition.ts"
import type { ServiceSpec } from "../../src/domain/Spec.ts"
import { McpAgentService } from "../../src/gen/mcp/v1/mcp_pb.ts"
import * as GrpcClient from "../../src/grpc/client.ts"
import { login, make as makeNode, type Node, type Ran, read } from "../support/agent.ts"
import { image } from "../support/podman.ts"

/** The built programs as in use: identity server, agent, an operator who is logged in, and an open connection. */
export interface Site {
  readonly node: Node
  readonly token: string
  readonly client: GrpcClient.GrpcClient<typeof McpAgentService>
  /** Removes a service, after the deployment that may still watch it. */
  readonly undeploy: (service: string) => Effect.Effect<void>
}

export const mcp = join(import.meta.dirname, "../../dist/mcp")

/** What each container of a benchmark runs. */
export const argv = ["sleep", "1000"]
export { image }

export const names = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, at) => `c${at + 1}`)

/** A service of so many components that do not depend on each other. */
export const definition = (service: string, count: number): string =>
  [
    `name = "${service}"`,
    ...names(count).map(
      (name) =>
        `[[components]]\nname = "${name}"\nimage = "${image}"\ncmd = ${JSON.stringify(argv)}\nstop_timeout = "0s"\n`
    )
  ].join("\n")

export const specOf = (service: string, count: number): ServiceSpec =>
  Either.getOrThrowWith(parseDefinition({ file: "bench", text: definition(service, count) }), ([problem]) => problem)
    .spec

/** What has to succeed, or the run says nothing. */
export const must = (ran: Effect.Effect<Ran>): Effect.Effect<Ran> =>
  Effect.filterOrDie(
    ran,
    ({ code }) => code === 0,
    ({ code, stderr, stdout }) => new Error(`exit ${code}: ${stderr || stdout}`)
  )

export const make: Effect.Effect<Site, never, Scope.Scope> = Effect.gen(function* () {
  const node = yield* makeNode
  yield* node.startMcias
  yield* node.startAgent
  yield* login(node, "admin")
  const token = read(node.token).trim()
  const client = yield* GrpcClient.make(McpAgentService, {
    address: node.agentAddress,
    caCert: node.ca.cert,
    metadata: Effect.succeed({ authorization: `Bearer ${token}` })
  })
  return {
    node,
    token,
    client,
    undeploy: (service: string) =>
      client
        .undeployService({ service }, { timeout: "1 minute" })
        .pipe(Effect.retry(Schedule.spaced("100 millis").pipe(Schedule.upTo("30 seconds"))), Effect.orDie)
  }
}).pipe(Effect.orDie)
