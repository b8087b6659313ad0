import { Effect, Stream } from "effect"
import type { Event } from "../gen/mcp/v1/mcp_pb.ts"
import type { RpcError } from "../grpc/status.ts"
import { Agents, type ConnectError, type NodeConfig } from "../services/Agents.ts"
import { at, isRefusal, isRpcError, isSilence } from "./nodes.ts"

/** What a node tells: events, none where something changed that is no event; or why it tells nothing for now. */
export type News =
  | { readonly node: NodeConfig; readonly events: ReadonlyArray<Event>; readonly error?: undefined }
  | { readonly node: NodeConfig; readonly error: RpcError }

const retryAfter = "2 seconds"

export interface Wanted {
  readonly service: string
  readonly component: string
  /** The last event that is known; what came after it is told first. */
  readonly after: bigint
  readonly limit: number
}

/** A node's events as they come. A connection that is lost is made again; only a refusal ends it. */
const newsOf = (node: NodeConfig, wanted: Wanted): Stream.Stream<News, ConnectError, Agents> => {
  let { after } = wanted
  const connected = Stream.unwrapScoped(
    Effect.gen(function* () {
      const client = yield* (yield* Agents).connect(node)
      return client.watchEvents({ ...wanted, after })
    })
  ).pipe(
    Stream.map(({ events }): News => {
      after = events.at(-1)?.id ?? after
      return { node, events }
    }),
    Stream.catchAll((error) =>
      isRpcError(error) && isSilence(error) && !isRefusal(error)
        ? Stream.succeed<News>({ node, error: at(node)(error) })
        : Stream.fail(isRpcError(error) ? at(node)(error) : error)
    )
  )
  return Stream.forever(Stream.concat(connected, Stream.drain(Stream.fromEffect(Effect.sleep(retryAfter)))))
}

/** What several nodes tell, as it comes. */
export const news = (nodes: ReadonlyArray<NodeConfig>, wanted: (node: NodeConfig) => Wanted) =>
  Stream.mergeAll(
    nodes.map((node) => newsOf(node, wanted(node))),
    { concurrency: "unbounded" }
  )
