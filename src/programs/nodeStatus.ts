import { Effect, Either, Option } from "effect"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { NodeResources } from "../services/NodeResources.ts"
import { Registry } from "../services/Registry.ts"

/** The node with its runtime and what of it is used. With the runtime away, `runtime` says why. */
export const nodeStatus = Effect.gen(function* () {
  const node = yield* NodeInfo
  const resources = yield* NodeResources
  const runtime = yield* ContainerRuntime
  const services = yield* (yield* Registry).services
  const asked = yield* Effect.either(Effect.zip(runtime.version, runtime.list, { concurrent: true }))
  return {
    node,
    services: services.length,
    runtime: Either.map(asked, ([version, containers]) => ({
      version,
      running: containers.filter(({ state }) => state === "running").length
    })),
    cpus: yield* resources.cpus,
    memory: yield* resources.memory,
    disk: Option.getOrElse(yield* resources.disk(node.filesRoot), () => ({ totalBytes: 0, freeBytes: 0 }))
  }
})

export type NodeStatus = Effect.Effect.Success<typeof nodeStatus>
