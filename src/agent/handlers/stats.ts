import { Effect, Stream } from "effect"
import type { StatsRequest } from "../../gen/mcp/v1/mcp_pb.ts"
import { stats } from "../../programs/stats.ts"
import { authorize, visible } from "../CallerContext.ts"
import * as encode from "../encode.ts"

const INTERVAL_MS = 2_000
const SHORTEST_MS = 500
const LONGEST_MS = 3_600_000

export const statsCall = ({ component, follow, intervalMs, service }: StatsRequest) =>
  Stream.unwrap(
    Effect.gen(function* () {
      if (service !== "") yield* authorize(service, component)
      const sees = yield* visible
      const every = intervalMs === 0n ? INTERVAL_MS : Math.min(Math.max(Number(intervalMs), SHORTEST_MS), LONGEST_MS)
      const looks = stats({ service: service || undefined, component: component || undefined, sees }, every)
      return follow ? looks : Stream.take(looks, 1)
    })
  ).pipe(Stream.map(encode.stats))
