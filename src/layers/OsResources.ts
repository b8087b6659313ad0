import { stat, statfs } from "node:fs/promises"
import { availableParallelism, freemem, totalmem } from "node:os"
import { Effect, Layer } from "effect"
import { NodeResources } from "../services/NodeResources.ts"

/** As the operating system has it. */
export const layer = Layer.succeed(NodeResources, {
  cpus: Effect.sync(availableParallelism),
  memory: Effect.sync(() => ({ totalBytes: totalmem(), usedBytes: totalmem() - freemem() })),
  disk: (path) =>
    Effect.option(
      Effect.tryPromise(async () => {
        const [{ bavail, blocks, bsize }, { dev }] = await Promise.all([statfs(path), stat(path)])
        return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, device: dev }
      })
    )
})
