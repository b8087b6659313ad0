import { Effect, Either, Option, Schema, Stream } from "effect"
import * as Reference from "../domain/Image.ts"
import { type ImageLayer, LayerReader, readConfig, whyNotThese } from "../domain/ImageLayers.ts"
import { ServiceName } from "../domain/Names.ts"
import { ContainerRuntime, type NewImage } from "../services/ContainerRuntime.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Registry } from "../services/Registry.ts"
import { ImageLoadFailed } from "../services/RuntimeError.ts"
import { roomForImage } from "./diskSpace.ts"
import { ImageForeign, ImageRefused, LoadBroken } from "./ProgramError.ts"

/** An image as its sender announces it. */
export interface ImageOffer {
  /** The service that it is for. */
  readonly service: string
  readonly reference: string
  readonly config: Uint8Array
  /** The layers that follow, in this order. */
  readonly sent: ReadonlyArray<ImageLayer>
}

export interface LoadPart {
  readonly data: Uint8Array
  /** Nothing follows. */
  readonly last: boolean
}

export interface Loaded {
  readonly imageId: string
  /** The node had this very image already. */
  readonly wasHere: boolean
  readonly layers: number
  readonly bytes: number
}

const silentAtMost = "60 seconds"

/** The full name, when it is one that an image can be given. */
const fullName = (reference: string): Either.Either<string, string> => {
  const image = Reference.parse(reference)
  if (image === undefined) return Either.left("that is no image reference")
  if (image.digest !== undefined) return Either.left("an image is loaded under a tag, and not under a digest")
  return Either.right(Reference.format({ ...image, tag: image.tag ?? "latest" }))
}

const checked = (offer: ImageOffer) =>
  Effect.gen(function* () {
    const { config: configBytes, sent, service } = offer
    const { arch } = yield* NodeInfo
    const refused = (why: string) => new ImageRefused({ service, image: offer.reference, why })
    if (!Schema.is(ServiceName)(service)) return yield* refused("it is for no service")
    const reference = yield* Either.mapLeft(fullName(offer.reference), refused)
    const config = yield* Either.mapLeft(readConfig(configBytes), refused)
    const why = whyNotThese(config, sent)
    if (why !== undefined) return yield* refused(why)
    const { architecture, os } = config
    if (os !== "linux" || architecture !== arch) {
      const platform = os === "linux" ? architecture : `${os}/${architecture}`
      return yield* new ImageForeign({ image: reference, architecture: platform, node: arch })
    }
    return { reference, config, configBytes, sent } satisfies NewImage
  })

/**
 * A name that other services may take for theirs: it reaches beyond the service. An image is a service's own when its
 * last part is the service's name, or begins with it and `-`, and no other service's spec has an image of that name.
 */
export const beyondService = (service: string, reference: string) =>
  Effect.gen(function* () {
    const image = Reference.parse(reference)
    if (image === undefined) return []
    const base = image.repository.split("/").at(-1) ?? ""
    const repositoryOf = (text: string) => {
      const parsed = Reference.parse(text)
      return parsed && `${parsed.registry}/${parsed.repository}`
    }
    const others = (yield* (yield* Registry).services).filter((row) => row.service !== service)
    const theirs = others.some(({ spec }) =>
      spec.components.some((component) => repositoryOf(component.image) === repositoryOf(reference))
    )
    return !theirs && (base === service || base.startsWith(`${service}-`)) ? [] : [`the image name ${reference}`]
  })

/** Digests of the image's layers that the node lacks, lowest first. */
export const missingLayers = (offer: ImageOffer) =>
  Effect.gen(function* () {
    const { config } = yield* checked(offer)
    const here = yield* (yield* ContainerRuntime).layers
    return [...new Set(config.layers)].filter((digest) => !here.has(digest))
  })

/** What comes, as pieces of the layers that were announced; it fails at the first byte that is wrong. */
const received = <E, R>({ reference, sent, service }: ImageOffer, parts: Stream.Stream<LoadPart, E, R>) =>
  Stream.suspend(() => {
    const reader = new LayerReader(sent)
    let ended = false
    const broken = (why: string) => new LoadBroken({ service, image: reference, why })
    return parts.pipe(
      Stream.timeoutFail(() => broken(`nothing more came within ${silentAtMost}`), silentAtMost),
      Stream.takeUntil(({ last }) => last),
      Stream.mapEffect(({ data, last }) => {
        ended = last
        return Either.mapLeft(reader.take(data), broken)
      }),
      Stream.mapConcat((pieces) => pieces),
      Stream.concat(
        Stream.suspend(() => {
          const why = ended ? reader.unfinished : "the transfer was cut"
          return why === undefined ? Stream.empty : Stream.fail(broken(why))
        })
      )
    )
  })

/** Makes an image here of what comes and of layers that the node has, and gives it its name. */
export const loadImage = <E, R>(offer: ImageOffer, parts: Stream.Stream<LoadPart, E, R>) =>
  Effect.gen(function* () {
    const image = yield* checked(offer)
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const { id } = image.config
    const wasHere = Option.isSome(yield* runtime.image(id))
    const bytes = image.sent.reduce((sum, { size }) => sum + size, 0)
    if (bytes > 0) yield* roomForImage(bytes)
    yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        yield* restore(runtime.loadImage(image, received(offer, parts)))
        const now = Option.getOrUndefined(yield* runtime.image(image.reference))
        if (now?.id !== id) {
          const why = `podman gave it the id ${now?.id ?? "of no image"}, and its config has ${id}`
          return yield* new ImageLoadFailed({ image: image.reference, why })
        }
        // What somebody else had brought is not MCP's to remove.
        const brought = wasHere ? (yield* registry.pulledImages).some(({ imageId }) => imageId === id) : true
        if (brought) yield* registry.noteLoadedImage(id, image.reference)
      })
    )
    return { imageId: id, wasHere, layers: image.sent.length, bytes } satisfies Loaded
  })
