import { createHash, type Hash } from "node:crypto"
import { Either, Schema } from "effect"

/* An image on its way to a node: its config, and layers as plain tars, each known by the SHA-256 of that tar. */

export interface ImageLayer {
  /** `sha256:...` of the layer uncompressed. */
  readonly digest: string
  readonly size: number
}

/** A part of one layer. */
export interface LayerPiece {
  readonly layer: ImageLayer
  readonly offset: number
  readonly bytes: Uint8Array
}

const Config = Schema.parseJson(
  Schema.Struct({
    architecture: Schema.String,
    os: Schema.String,
    rootfs: Schema.Struct({ type: Schema.Literal("layers"), diff_ids: Schema.Array(Schema.String) })
  })
)

export interface ImageConfig {
  /** What podman calls the image: 64 hex digits. */
  readonly id: string
  readonly architecture: string
  readonly os: string
  /** Digests of all layers, lowest first; one may be there twice. */
  readonly layers: ReadonlyArray<string>
}

export const digestPattern = /^sha256:[0-9a-f]{64}$/
export const maxConfigBytes = 1024 * 1024
/** As overlay file systems have it: podman makes no image of more. */
const maxLayers = 500
/** As much as the header of a tar's entry can say in octal digits. */
export const maxLayerBytes = 8 * 1024 ** 3 - 1

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** Reads an image's config; else why it is none that can be loaded. */
export const readConfig = (bytes: Uint8Array): Either.Either<ImageConfig, string> => {
  if (bytes.length > maxConfigBytes) return Either.left("its config is longer than 1 MiB")
  const decoded = Schema.decodeUnknownEither(Config)(Buffer.from(bytes).toString("utf8"))
  if (Either.isLeft(decoded)) return Either.left("its config is not that of an image")
  const { architecture, os, rootfs } = decoded.right
  const layers = rootfs.diff_ids
  if (layers.length === 0) return Either.left("it has no layers")
  if (layers.length > maxLayers) return Either.left(`it has more than ${maxLayers} layers`)
  if (!layers.every((digest) => digestPattern.test(digest))) return Either.left("a layer's digest is not a SHA-256")
  return Either.right({ id: sha256(bytes), architecture, os, layers })
}

/** What is wrong with the layers that are to be sent. */
export const whyNotThese = (config: ImageConfig, sent: ReadonlyArray<ImageLayer>): string | undefined => {
  if (new Set(sent.map(({ digest }) => digest)).size !== sent.length) return "a layer is to be sent twice"
  const other = sent.find(({ digest }) => !config.layers.includes(digest))
  if (other) return `${other.digest} is none of its layers`
  const odd = sent.find(({ size }) => !(size > 0 && size <= maxLayerBytes))
  return odd && `the layer ${odd.digest} cannot have ${odd.size} bytes: up to 8 GiB can be sent`
}

/** Tells the layers apart in what comes, and holds each against its digest: nothing that is not right gets by. */
export class LayerReader {
  #at = 0
  #offset = 0
  #hash: Hash = createHash("sha256")
  readonly #layers: ReadonlyArray<ImageLayer>

  constructor(layers: ReadonlyArray<ImageLayer>) {
    this.#layers = layers
  }

  /** The pieces in these bytes, or what is wrong with them. */
  take(bytes: Uint8Array): Either.Either<ReadonlyArray<LayerPiece>, string> {
    const pieces: Array<LayerPiece> = []
    for (let rest = bytes; rest.length > 0; ) {
      const layer = this.#layers[this.#at]
      if (layer === undefined) return Either.left("more came than was announced")
      const part = rest.subarray(0, layer.size - this.#offset)
      pieces.push({ layer, offset: this.#offset, bytes: part })
      this.#hash.update(part)
      this.#offset += part.length
      rest = rest.subarray(part.length)
      if (this.#offset < layer.size) continue
      if (`sha256:${this.#hash.digest("hex")}` !== layer.digest) {
        return Either.left(`what came for the layer ${layer.digest} has another digest`)
      }
      this.#at += 1
      this.#offset = 0
      this.#hash = createHash("sha256")
    }
    return Either.right(pieces)
  }

  /** What is missing when nothing more comes. */
  get unfinished(): string | undefined {
    const layer = this.#layers[this.#at]
    return layer && `it ended at byte ${this.#offset} of ${layer.size} of the layer ${layer.digest}`
  }
}
