import { Effect, Option } from "effect"
import { Code } from "../grpc/status.ts"
import type { Delivery } from "../programs/buildImages.ts"
import type { Agents } from "../services/Agents.ts"
import { ImageBuilder } from "../services/ImageBuilder.ts"
import { SavedImages } from "../services/SavedImages.ts"
import { bytes } from "./bytes.ts"
import type { CliFailure } from "./errors.ts"
import type { Globals } from "./Globals.ts"
import type * as Json from "./json.ts"
import { type LoadedOnto, loadOnto } from "./loadOnto.ts"
import { nodeFor } from "./locate.ts"
import { ask, isRpcError, ofService, reading } from "./nodes.ts"
import type { Screen } from "./Screen.ts"
import { took } from "./time.ts"

export type LoadNeeds = Agents | Globals | ImageBuilder | SavedImages | Screen

/** What became of each image that was loaded, by its reference. */
export type Loads = ReadonlyMap<string, LoadedOnto>

/** Straight onto the service's node, which has to answer before anything is built. */
export const toNode = (service: string, wanted: string | undefined) =>
  Effect.gen(function* () {
    const node = yield* nodeFor(service, wanted)
    const options = yield* reading
    const arch = yield* ask(node, (client) => client.nodeStatus({}, options)).pipe(
      Effect.map((status) => status.arch),
      // Who may deploy need not be one who may look.
      Effect.catchIf(
        (error) => isRpcError(error) && error.code === Code.PERMISSION_DENIED,
        () => Effect.succeed("")
      ),
      Effect.mapError(ofService(service))
    )
    const loads = new Map<string, LoadedOnto>()
    const send = (reference: string) =>
      Effect.gen(function* () {
        const folder = yield* (yield* ImageBuilder).saved(reference)
        const image = yield* (yield* SavedImages).open(folder)
        loads.set(reference, yield* loadOnto(node, service, reference, image))
        return Option.none<string>()
      }).pipe(Effect.scoped)
    const delivery: Delivery<CliFailure, LoadNeeds> = { outcome: "loaded", registryCounts: false, send }
    return { delivery, loads: loads as Loads, arch: node.arch ?? (arch || undefined) }
  })

export const loadedImage = (loads: Loads, reference: string): Json.LoadedImage | null => {
  const load = loads.get(reference)
  if (load === undefined) return null
  const { imageId: image_id, layers, node, sentBytes: sent_bytes, sentLayers: sent_layers, tookMs: took_ms } = load
  return { node, image_id, was_there: load.wasHere, layers, sent_layers, sent_bytes, took_ms }
}

const layers = (n: number) => `${n} layer${n === 1 ? "" : "s"}`

export const loadLine = ({ loaded, reference }: Json.BuiltImage): ReadonlyArray<string> => {
  if (loaded === null) return []
  const { layers: all, node, sent_bytes, sent_layers, took_ms, was_there } = loaded
  if (was_there) return [`${reference}: ${node} had this very image already`]
  const there = all - sent_layers
  const sent = sent_layers === 0 ? "nothing had to be sent" : `sent ${layers(sent_layers)}, ${bytes(sent_bytes)}`
  const rest = there === 0 ? "" : `, ${layers(there)} ${there === 1 ? "was" : "were"} there already`
  return [`${reference} onto ${node}: ${sent} in ${took(took_ms)}${rest}`]
}
