import type { Verb } from "../domain/Authorization.ts"
import { McpAgentService } from "../gen/mcp/v1/mcp_pb.ts"
import { methodPath } from "../grpc/service.ts"

export interface Access {
  /** The verb that a caller needs; `open` needs no token at all. */
  readonly verb: Verb | "open"
  /** Whether it may run while the agent boots. */
  readonly booting: boolean
}

type Rpc = keyof typeof McpAgentService.method

/** Every RPC of the agent: one that is not here does not compile, and what no table names is refused. */
const rpcs: Record<Rpc, Access> = {
  deploy: { verb: "deploy", booting: true },
  plan: { verb: "read", booting: true },
  undeployService: { verb: "deploy", booting: false },
  stopService: { verb: "operate", booting: false },
  startService: { verb: "operate", booting: false },
  restartService: { verb: "operate", booting: false },
  rollbackService: { verb: "deploy", booting: false },
  listDeployments: { verb: "read", booting: true },
  listServices: { verb: "read", booting: true },
  getServiceStatus: { verb: "read", booting: true },
  liveCheck: { verb: "read", booting: true },
  syncDesiredState: { verb: "deploy", booting: false },
  adoptContainers: { verb: "deploy", booting: false },
  purgeComponents: { verb: "deploy", booting: false },
  listEvents: { verb: "read", booting: true },
  watchEvents: { verb: "read", booting: true },
  explain: { verb: "read", booting: true },
  silenceTarget: { verb: "operate", booting: false },
  exec: { verb: "deploy", booting: false },
  stats: { verb: "read", booting: true },
  // With values of the environment, which no reader sees elsewhere.
  exportSpec: { verb: "deploy", booting: true },
  logs: { verb: "read", booting: true },
  setSecret: { verb: "deploy", booting: true },
  listSecrets: { verb: "deploy", booting: true },
  removeSecret: { verb: "deploy", booting: false },
  pushFile: { verb: "files", booting: true },
  pullFile: { verb: "files", booting: true },
  listFiles: { verb: "files", booting: true },
  removePath: { verb: "files", booting: true },
  // It changes what the next deploy runs.
  loadImage: { verb: "deploy", booting: true },
  // What copies, gives away, replaces or removes a service's files; names of files are in none of the answers to `read`.
  createSnapshot: { verb: "files", booting: false },
  listSnapshots: { verb: "read", booting: true },
  restoreSnapshot: { verb: "files", booting: false },
  removeSnapshot: { verb: "files", booting: false },
  exportServiceData: { verb: "files", booting: false },
  importServiceData: { verb: "files", booting: false },
  nodeStatus: { verb: "read", booting: true },
  healthCheck: { verb: "open", booting: true }
}

const standard: Record<string, Access> = {
  "/grpc.health.v1.Health/Check": { verb: "open", booting: true },
  "/grpc.health.v1.Health/Watch": { verb: "open", booting: true },
  "/grpc.health.v1.Health/List": { verb: "open", booting: true },
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": { verb: "read", booting: true },
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": { verb: "read", booting: true }
}

const table: ReadonlyMap<string, Access> = new Map([
  ...Object.entries(rpcs).map(([name, access]) => [methodPath(McpAgentService.method[name as Rpc]), access] as const),
  ...Object.entries(standard)
])

export const accessOf = (path: string): Access | undefined => table.get(path)
