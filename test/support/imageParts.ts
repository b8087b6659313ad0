import { Effect, Either, Stream } from "effect"
import { pack } from "tar-stream"
import { type ImageLayer, type LayerPiece, readConfig, sha256 } from "../../src/domain/ImageLayers.ts"
import type { NewImage } from "../../src/services/ContainerRuntime.ts"

export interface MadeLayer extends ImageLayer {
  readonly bytes: Uint8Array
}

/** A layer with one file. */
export const layerOf = (file: string, content: string | Uint8Array): Effect.Effect<MadeLayer> =>
  Effect.promise(async () => {
    const tar = pack()
    tar.entry({ name: file, mode: 0o755, mtime: new Date(0) }, Buffer.from(content))
    tar.finalize()
    const parts: Array<Buffer> = []
    for await (const part of tar) parts.push(part as Buffer)
    const bytes = Buffer.concat(parts)
    return { digest: `sha256:${sha256(bytes)}`, size: bytes.length, bytes }
  })

export const configOf = (
  layers: ReadonlyArray<{ readonly digest: string }>,
  { architecture = process.arch === "x64" ? "amd64" : process.arch, os = "linux" } = {}
) =>
  Buffer.from(
    JSON.stringify({
      architecture,
      os,
      config: { Cmd: ["/run"] },
      rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) }
    })
  )

/** An image of these layers, of which only some are sent. */
export const newImage = (
  reference: string,
  layers: ReadonlyArray<ImageLayer>,
  sent: ReadonlyArray<ImageLayer> = layers,
  platform: Parameters<typeof configOf>[1] = {}
): NewImage => {
  const configBytes = configOf(layers, platform)
  const config = Either.getOrThrow(readConfig(configBytes))
  return { reference, config, configBytes, sent: sent.map(({ digest, size }) => ({ digest, size })) }
}

/** In pieces that end anywhere. */
export const piecesOf = (layers: ReadonlyArray<MadeLayer>, most = 700): Stream.Stream<LayerPiece> =>
  Stream.fromIterable(
    layers.flatMap((layer) =>
      Array.from({ length: Math.ceil(layer.size / most) }, (_, at) => ({
        layer: { digest: layer.digest, size: layer.size },
        offset: at * most,
        bytes: layer.bytes.subarray(at * most, (at + 1) * most)
      }))
    )
  )
