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

/**
 * podman has the archive of a loaded image beside its files, and each layer unpacked once more, before the image is made
 * of them: three times its size where it stages images, and once where it keeps them.
 */
const stagedTimes = 3

/** Fails when an image whose layers have so many bytes has no room on the node. */
export const roomForImage = (bytes: number) =>
  Effect.gen(function* () {
    const resources = yield* NodeResources
    const [kept, ...staging] = yield* (yield* ContainerRuntime).folders
    const wanted = new Map<number, { path: string; freeBytes: number; wantedBytes: number }>()
    const want = (path: string, times: number) =>
      Effect.map(resources.disk(path), (found) => {
        const space = Option.getOrUndefined(found)
        if (space === undefined) return
        const { freeBytes } = space
        const before = wanted.get(space.device) ?? { path, freeBytes, wantedBytes: leastFree }
        wanted.set(space.device, { ...before, wantedBytes: before.wantedBytes + times * bytes })
      })
    if (kept !== undefined) yield* want(kept, staging.length === 0 ? 1 + stagedTimes : 1)
    for (const path of staging) yield* want(path, stagedTimes)
    const short = [...wanted.values()].find(({ freeBytes, wantedBytes }) => freeBytes < wantedBytes)
    if (short) return yield* new DiskLow({ ...short, wants: "loading the image" })
  })

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
