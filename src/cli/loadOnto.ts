import { Clock, Effect, Stream } from "effect"
import { encodeLayerData } from "../grpc/imageParts.ts"
import { type AgentClient, Agents, type NodeConfig } from "../services/Agents.ts"
import type { SavedImage } from "../services/SavedImages.ts"
import { acting, at, isRpcError, ofService } from "./nodes.ts"
import { showingBytes } from "./transfer.ts"

export interface LoadedOnto {
  readonly node: string
  readonly imageId: string
  /** The node had this very image already. */
  readonly wasHere: boolean
  readonly layers: number
  readonly sentLayers: number
  readonly sentBytes: number
  readonly tookMs: number
}

/** A layer that the node had when it was asked was removed meanwhile: asking again is all that it takes. */
const isGone = (error: unknown) => isRpcError(error) && error.reason === "LAYER_GONE"

const send = (client: AgentClient, service: string, reference: string, image: SavedImage) =>
  Effect.gen(function* () {
    const options = yield* acting
    const of = { service, reference, config: image.configBytes }
    const { missing } = yield* client.loadImage(Stream.succeed({ start: { ...of, ask: true }, last: true }), options)
    const layers = image.layers.filter(({ digest }) => missing.includes(digest))
    const counted = yield* showingBytes(layers.reduce((sum, { size }) => sum + size, 0))
    const content = Stream.flatMap(Stream.fromIterable(layers), image.read)
    const start = { ...of, layers: layers.map(({ digest, size }) => ({ digest, size: BigInt(size) })) }
    return yield* client.loadImage(
      Stream.succeed({ start }).pipe(
        Stream.concat(Stream.map(counted(content), encodeLayerData)),
        Stream.concat(Stream.succeed({ last: true }))
      ),
      options
    )
  }).pipe(Effect.scoped)

/** Brings an image of this machine to a node: only the layers that the node lacks travel. */
export const loadOnto = (node: NodeConfig, service: string, reference: string, image: SavedImage) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const client = yield* (yield* Agents).connect(node, "bulk")
    const done = yield* Effect.retry(send(client, service, reference, image), { times: 2, while: isGone })
    return {
      node: node.name,
      imageId: done.imageId,
      wasHere: done.wasHere,
      layers: image.layers.length,
      sentLayers: done.layers,
      sentBytes: Number(done.bytes),
      tookMs: (yield* Clock.currentTimeMillis) - start
    } satisfies LoadedOnto
  }).pipe(
    Effect.scoped,
    Effect.mapError((error) => (isRpcError(error) ? ofService(service)(at(node)(error)) : error))
  )
