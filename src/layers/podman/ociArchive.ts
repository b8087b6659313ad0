import { Stream } from "effect"
import { type LayerPiece, sha256 } from "../../domain/ImageLayers.ts"
import type { NewImage } from "../../services/ContainerRuntime.ts"

const BLOCK = 512
const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`
const filling = (size: number) => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK)

/**
 * What stands ahead of a file in a tar (ustar). By hand, since a tar library is a stream of its own that would have to be
 * driven beside the one that the layers come in.
 */
const header = (path: string, size: number): Uint8Array => {
  const block = Buffer.alloc(BLOCK)
  block.write(path, 0, 100)
  block.write(octal(0o644, 7), 100)
  block.write(octal(0, 7) + octal(0, 7), 108)
  block.write(octal(size, 11) + octal(0, 11), 124)
  // The sum is that of the header with spaces in its place.
  block.write("        0", 148)
  block.write("ustar\x0000", 257)
  block.write(
    octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6
    ),
    148
  )
  return block
}

const file = (path: string, bytes: Uint8Array) => [header(path, bytes.length), bytes, filling(bytes.length)]
const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`
const json = (value: unknown) => Buffer.from(JSON.stringify(value))

const packed = ({ bytes, layer, offset }: LayerPiece): ReadonlyArray<Uint8Array> => [
  ...(offset === 0 ? [header(blob(layer.digest), layer.size)] : []),
  bytes,
  ...(offset + bytes.length === layer.size ? [filling(layer.size)] : [])
]

/** The last files: the index is what makes it an image, so no archive that was cut is one. */
const closing = ({ config, configBytes, reference, sent }: NewImage): ReadonlyArray<Uint8Array> => {
  const sizes = new Map(sent.map(({ digest, size }) => [digest, size]))
  const manifest = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: `sha256:${config.id}`,
      size: configBytes.length
    },
    // The size of a layer that is there already is never looked at.
    layers: config.layers.map((digest) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest,
      size: sizes.get(digest) ?? 0
    }))
  })
  const digest = `sha256:${sha256(manifest)}`
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest,
        size: manifest.length,
        annotations: { "org.opencontainers.image.ref.name": reference }
      }
    ]
  }
  return [
    ...file(blob(`sha256:${config.id}`), configBytes),
    ...file(blob(digest), manifest),
    ...file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    ...file("index.json", json(index)),
    new Uint8Array(2 * BLOCK)
  ]
}

/**
 * An OCI archive, in which layers that were not sent are named and not there: podman takes a layer that it has, by the
 * digest of its plain tar, without opening the archive's.
 */
export const ociArchive = <E, R>(image: NewImage, pieces: Stream.Stream<LayerPiece, E, R>) =>
  Stream.mapConcat(pieces, packed).pipe(
    Stream.concat(Stream.suspend(() => Stream.fromIterable(closing(image)))),
    Stream.filter((bytes) => bytes.length > 0)
  )
