import { HttpClientRequest } from "@effect/platform"
import { Cause, Clock, Duration, Effect, Schema, Stream } from "effect"
import type { LayerPiece } from "../../domain/ImageLayers.ts"
import type { NewImage } from "../../services/ContainerRuntime.ts"
import { DiskFull, ImageLoadFailed, LayerGone, type RuntimeUnavailable } from "../../services/RuntimeError.ts"
import { type Api, asUnavailable, mapRefusal, path, type Refusal } from "./api.ts"
import { ociArchive } from "./ociArchive.ts"
import { isDiskFull, plain } from "./words.ts"

type LoadError = ImageLoadFailed | LayerGone | DiskFull | RuntimeUnavailable

const silentAtMost: Duration.DurationInput = "10 minutes"

const Ids = Schema.Array(Schema.Struct({ Id: Schema.String }))
const Layers = Schema.Struct({ RootFS: Schema.Struct({ Layers: Schema.NullOr(Schema.Array(Schema.String)) }) })

/** Of every image, one inspect each: podman's list does not tell. */
export const layers = (api: Api): Effect.Effect<ReadonlySet<string>, RuntimeUnavailable> =>
  Effect.gen(function* () {
    const request = HttpClientRequest.get("/images/json")
    const images = yield* api.json({ operation: "images", request, within: "20 seconds" }, Ids)
    const found = yield* Effect.forEach(
      new Set(images.map((image) => image.Id)),
      (id) =>
        api
          .json(
            { operation: "image", request: HttpClientRequest.get(path`/images/${id}/json`), within: "10 seconds" },
            Layers
          )
          .pipe(
            Effect.map(({ RootFS }) => RootFS.Layers ?? []),
            // It was removed meanwhile.
            Effect.catchIf(
              (error) => error._tag === "Refusal" && error.status === 404,
              () => Effect.succeed([])
            )
          ),
      { concurrency: 4 }
    )
    return new Set(found.flat())
  }).pipe(Effect.catchTag("Refusal", (error) => Effect.fail(asUnavailable(error))))

/** podman tries one form of archive after another and says why each was none; ours is only ever one of them. */
const ofArchive = (detail: string): string => /^ \* oci-archive: (.*)$/m.exec(detail)?.[1] ?? detail

const goneLayer = /blobs\/sha256\/([0-9a-f]{64}): no such file or directory/

const refused = (image: string) => (error: Refusal) => {
  const why = ofArchive(error.detail || error.reason)
  // Before anything else: the disk may be full for any of the forms.
  if (isDiskFull(error.detail)) return new DiskFull({ operation: "load", subject: image })
  const gone = goneLayer.exec(why)?.[1]
  if (gone !== undefined) return new LayerGone({ image, layer: `sha256:${gone}` })
  return new ImageLoadFailed({ image, why: plain(why) || error.why })
}

/** Fails when podman has neither taken a byte nor answered for too long. */
const watchdog = (image: string, lastAt: () => number) =>
  Effect.gen(function* () {
    const limit = Duration.toMillis(silentAtMost)
    while (true) {
      const left = lastAt() + limit - (yield* Clock.currentTimeMillis)
      if (left <= 0) return yield* new ImageLoadFailed({ image, why: `podman did nothing more within ${silentAtMost}` })
      yield* Effect.sleep(left)
    }
  })

/** The image is there already, and needs its name alone. */
const tag = (api: Api, { config, reference }: NewImage) => {
  const colon = reference.lastIndexOf(":")
  const request = HttpClientRequest.post(path`/images/${config.id}/tag`).pipe(
    HttpClientRequest.setUrlParams({ repo: reference.slice(0, colon), tag: reference.slice(colon + 1) })
  )
  return api
    .text({ operation: "load", request, within: "60 seconds" })
    .pipe(mapRefusal(refused(reference)), Effect.asVoid)
}

const send = <E, R>(api: Api, image: NewImage, pieces: Stream.Stream<LayerPiece, E, R>) =>
  Effect.gen(function* () {
    const context = yield* Effect.context<R>()
    let lastAt = yield* Clock.currentTimeMillis
    // What ends the body is told by the client in words of its own, so it is kept.
    let ended: Cause.Cause<E> | undefined
    const body = ociArchive(image, pieces).pipe(
      Stream.tap(() =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          lastAt = now
        })
      ),
      Stream.tapErrorCause((cause) =>
        Effect.sync(() => {
          ended = cause
        })
      ),
      Stream.provideContext(context)
    )
    const request = HttpClientRequest.post("/images/load").pipe(
      HttpClientRequest.bodyStream(body, { contentType: "application/x-tar" })
    )
    const posted = api.text({ operation: "load", request }).pipe(
      mapRefusal(refused(image.reference)),
      Effect.catchAllCause((cause) =>
        Effect.failCause<E | LoadError>(ended === undefined || Cause.isInterruptedOnly(ended) ? cause : ended)
      )
    )
    yield* Effect.raceFirst(
      posted,
      watchdog(image.reference, () => lastAt)
    )
  })

export const loadImage =
  (api: Api, isHere: (id: string) => Effect.Effect<boolean, RuntimeUnavailable>) =>
  <E, R>(image: NewImage, pieces: Stream.Stream<LayerPiece, E, R>) =>
    Effect.gen(function* () {
      const named = image.sent.length === 0 && (yield* isHere(image.config.id))
      yield* named ? tag(api, image) : send(api, image, pieces)
    })
