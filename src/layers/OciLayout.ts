import * as fs from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Either, Layer, Schema, Stream } from "effect"
import { digestPattern, readConfig, sha256 } from "../domain/ImageLayers.ts"
import { FileUnusable } from "../services/FileTransfer.ts"
import { SavedImages } from "../services/SavedImages.ts"
import { CHUNK_BYTES, readAt } from "./files/bytes.ts"
import { fileError } from "./files/failure.ts"

const Digest = Schema.String.pipe(Schema.pattern(digestPattern))
const Index = Schema.parseJson(Schema.Struct({ manifests: Schema.Tuple(Schema.Struct({ digest: Digest })) }))
const Manifest = Schema.parseJson(Schema.Struct({ config: Schema.Struct({ digest: Digest }) }))

const reading = (path: string) =>
  Effect.tryPromise({ try: () => readFile(path), catch: (cause) => fileError(path, cause) })

const decoded = <A, I>(path: string, schema: Schema.Schema<A, I>) =>
  Effect.flatMap(reading(path), (bytes) =>
    Effect.mapError(
      Schema.decodeUnknown(schema)(bytes.toString("utf8")),
      () => new FileUnusable({ path, why: "it is not of an image that podman has saved" })
    )
  )

/** One piece ahead, so that the disk and the line work at the same time. */
async function* pieces(path: string): AsyncGenerator<Uint8Array> {
  const fd = fs.openSync(path, "r")
  let next = readAt(fd, CHUNK_BYTES, 0)
  try {
    for (let at = 0; ; ) {
      const bytes = await next
      if (bytes.length === 0) return
      at += bytes.length
      next = readAt(fd, CHUNK_BYTES, at)
      yield bytes
    }
  } finally {
    await next.catch(() => {})
    fs.closeSync(fd)
  }
}

export const layer: Layer.Layer<SavedImages> = Layer.succeed(SavedImages, {
  open: (folder) =>
    Effect.gen(function* () {
      const blob = (digest: string) => join(folder, "blobs", ...digest.split(":"))
      const { manifests } = yield* decoded(join(folder, "index.json"), Index)
      const manifest = yield* decoded(blob(manifests[0].digest), Manifest)
      const configPath = blob(manifest.config.digest)
      const configBytes = yield* reading(configPath)
      const config = yield* Either.mapLeft(
        readConfig(configBytes),
        (why) => new FileUnusable({ path: configPath, why })
      )
      if (`sha256:${sha256(configBytes)}` !== manifest.config.digest) {
        return yield* new FileUnusable({ path: configPath, why: "it is not what the manifest names" })
      }
      const layers = yield* Effect.forEach([...new Set(config.layers)], (digest) =>
        Effect.suspend(() => {
          const stat = fs.statSync(blob(digest), { throwIfNoEntry: false })
          if (stat !== undefined) return Effect.succeed({ digest, size: stat.size })
          // A compressed one has another digest than the config says.
          return new FileUnusable({ path: folder, why: "a layer of the saved image is compressed, or missing" })
        })
      )
      return {
        ...{ config, configBytes, layers },
        read: ({ digest }) =>
          Stream.fromAsyncIterable({ [Symbol.asyncIterator]: () => pieces(blob(digest)) }, (cause) =>
            fileError(blob(digest), cause)
          )
      }
    })
})
