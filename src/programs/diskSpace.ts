import { Effect, Option } from "effect"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { NodeResources } from "../services/NodeResources.ts"
import { DiskLow } from "./ProgramError.ts"

/**
 * Bytes that must be free before something is made: enough for the container's own layer, its log, and what the registry
 * writes down. How large an image is that is still to be pulled is not known beforehand.
 */
const leastFree = 64 * 1024 ** 2

/** The disks that a deployment writes to and that are as good as full, each once. */
export const lowDisks = Effect.gen(function* () {
  const { dataDir, filesRoot } = yield* NodeInfo
  const resources = yield* NodeResources
  const runtime = yield* ContainerRuntime
  const seen = new Set<number>()
  const found: Array<DiskLow> = []
  for (const path of [...(yield* runtime.folders), dataDir, filesRoot]) {
    const space = Option.getOrUndefined(yield* resources.disk(path))
    if (space === undefined || seen.has(space.device)) continue
    seen.add(space.device)
    if (space.freeBytes < leastFree)
      found.push(new DiskLow({ path, freeBytes: space.freeBytes, wantedBytes: leastFree }))
  }
  return found
})
