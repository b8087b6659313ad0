import { HttpClientRequest } from "@effect/platform"
import { Effect, Schema } from "effect"
import type { Container, ContainerUse } from "../../services/ContainerRuntime.ts"
import { RuntimeUnavailable } from "../../services/RuntimeError.ts"
import { type Api, asUnavailable, mapRefusal } from "./api.ts"

// Each is a uint64, which JSON.parse rounds beyond 2^53: by 256 ns of a time, which is no matter.
const Used = Schema.Struct({
  ContainerID: Schema.String,
  CPUNano: Schema.Number,
  SystemNano: Schema.Number,
  MemUsage: Schema.Number,
  MemLimit: Schema.Number,
  NetInput: Schema.Number,
  NetOutput: Schema.Number,
  BlockInput: Schema.Number,
  BlockOutput: Schema.Number,
  PIDs: Schema.Number
})
const Answer = Schema.Struct({ Stats: Schema.NullOr(Schema.Array(Used)) })

const used = (one: typeof Used.Type): ContainerUse => ({
  containerId: one.ContainerID,
  cpuNanos: one.CPUNano,
  atNanos: one.SystemNano,
  memoryBytes: one.MemUsage,
  memoryLimitBytes: one.MemLimit,
  networkInBytes: one.NetInput,
  networkOutBytes: one.NetOutput,
  blockInBytes: one.BlockInput,
  blockOutBytes: one.BlockOutput,
  pids: one.PIDs
})

const noNumbers = new RuntimeUnavailable({
  operation: "stats",
  why: "podman gave no numbers, as a rootless one on cgroup v1 does"
})

/**
 * Many containers in one call. podman answers with nothing at all when one of them is gone, and does not say why; so then
 * it is asked which still run.
 */
export const stats =
  (api: Api, list: Effect.Effect<ReadonlyArray<Container>, RuntimeUnavailable>) => (ids: ReadonlyArray<string>) => {
    const ask = (wanted: ReadonlyArray<string>) => {
      if (wanted.length === 0) return Effect.succeed([])
      const request = HttpClientRequest.get("/containers/stats").pipe(
        HttpClientRequest.setUrlParams([["stream", "false"], ...wanted.map((id) => ["containers", id] as const)])
      )
      return api.json({ operation: "stats", request, within: "8 seconds" }, Answer).pipe(
        // One that does not run has zeros.
        Effect.map(({ Stats }) => Stats?.filter(({ SystemNano }) => SystemNano > 0).map(used)),
        mapRefusal(asUnavailable)
      )
    }
    const again = Effect.flatMap(list, (all) =>
      ask(all.filter(({ id, state }) => state === "running" && ids.includes(id)).map(({ id }) => id))
    )
    return Effect.flatMap(ask(ids), (first) =>
      first === undefined
        ? again.pipe(
            Effect.filterOrFail(
              (found) => found !== undefined,
              () => noNumbers
            ),
            Effect.retry({ times: 3, while: (error) => error === noNumbers })
          )
        : Effect.succeed(first)
    )
  }
