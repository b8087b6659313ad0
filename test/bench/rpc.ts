import { join } from "node:path"
import { Effect } from "effect"
import { McpAgentService } from "../../src/gen/mcp/v1/mcp_pb.ts"
import { methodPath } from "../../src/grpc/service.ts"
import { freePort, start } from "../support/agent.ts"
import type { Row } from "./harness.ts"
import { load } from "./load.ts"
import type { Site } from "./site.ts"

const path = methodPath(McpAgentService.method.listServices)
const sampleMs = 2_000

/** A query of the registry, with token check and audit line, against a server that only echoes. */
export const rate = ({ node, token }: Site): Row => {
  const target = { ca: node.tls.ca, path, token }
  const echo = Effect.gen(function* () {
    const address = `127.0.0.1:${yield* freePort}`
    const program = join(import.meta.dirname, "echo.mjs")
    const server = yield* start(process.execPath, [program, address, node.tls.cert, node.tls.key, path])
    yield* server.line("listening")
    return { name: "grpc-js echo", sample: yield* load({ ...target, address }, sampleMs) }
  })
  return {
    name: "rpc-rate",
    unit: "calls/s",
    ours: Effect.map(load({ ...target, address: node.agentAddress }, sampleMs), (sample) => ({
      name: "ListServices",
      sample
    })),
    peers: [{ name: "grpc-js echo", target: 0.6, make: echo }]
  }
}
