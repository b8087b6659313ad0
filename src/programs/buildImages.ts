import { Effect, Either, Option, Stream } from "effect"
import type { Buildable } from "../domain/BuildPlan.ts"
import * as Image from "../domain/Image.ts"
import type { ImageBuilderError, PodmanMissing } from "../services/BuildError.ts"
import { type BuildLine, type BuildOrder, ImageBuilder } from "../services/ImageBuilder.ts"

/** An image to build, with where its sources lie. */
export interface ImageSource {
  readonly image: Buildable
  readonly order: BuildOrder
}

/** Where a built image goes; without one it stays on this machine. */
export interface Delivery<E, R> {
  readonly outcome: "pushed" | "loaded"
  /** Whether an image that the image registry has is there already, where it is to go. */
  readonly registryCounts: boolean
  /** Answers the digest that the image has there, where that is known. */
  readonly send: (reference: string) => Effect.Effect<Option.Option<string>, E, R>
}

export interface BuildEvents {
  readonly line: (image: Buildable, line: BuildLine) => Effect.Effect<void>
  readonly sending: (image: Buildable) => Effect.Effect<void>
  readonly warning: (text: string) => Effect.Effect<void>
}

export interface Built<E> {
  readonly image: Buildable
  readonly outcome: "built" | "pushed" | "loaded" | "skipped" | "failed"
  readonly digest: Option.Option<string>
  readonly failure: Option.Option<E>
}

/** To the image registry that its name says. */
export const toRegistry = Effect.map(
  ImageBuilder,
  (builder): Delivery<ImageBuilderError, never> => ({
    outcome: "pushed",
    registryCounts: true,
    send: builder.push
  })
)

export interface Building<E, R> {
  readonly delivery: Delivery<E, R> | undefined
  /** Build what the image registry has as well. */
  readonly force: boolean
  readonly events: BuildEvents
}

const isMissing = (error: unknown): error is PodmanMissing =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "PodmanMissing"

/** Nothing is said of an image that may be another one tomorrow: the one there may not be of these sources. */
const isThere = <E, R>({ image }: ImageSource, { delivery, events, force }: Building<E, R>) =>
  Effect.gen(function* () {
    if (force || image.floating || delivery?.registryCounts === false) return false
    // A name that podman gives to what was never meant to leave the machine.
    if (delivery === undefined && Image.parse(image.reference)?.registry === "localhost") return false
    const builder = yield* ImageBuilder
    const asked = yield* Effect.either(builder.has(image.reference))
    if (Either.isRight(asked)) return asked.right
    const why = asked.left
    const mayBeAbsent = why._tag === "ImageRegistryUnauthorized" && why.mayBeAbsent
    // A push would fail the same way, once all has been built.
    if (isMissing(why) || (delivery !== undefined && !mayBeAbsent)) return yield* why
    yield* events.warning(`built without knowing whether the image registry has ${image.reference}: ${why.message}`)
    return false
  })

const one = <E, R>(source: ImageSource, building: Building<E, R>) =>
  Effect.gen(function* () {
    const { image, order } = source
    const { delivery, events } = building
    if (yield* isThere(source, building)) return { outcome: "skipped", digest: Option.none<string>() } as const
    const builder = yield* ImageBuilder
    // Built anew even when this machine has it: the sources may have changed, and podman's cache knows.
    yield* Stream.runForEach(builder.build(order), (line) => events.line(image, line))
    if (delivery === undefined) return { outcome: "built", digest: Option.none<string>() } as const
    yield* events.sending(image)
    return { outcome: delivery.outcome, digest: yield* delivery.send(image.reference) } as const
  })

/**
 * Builds images one after another, since podman's storage has one lock, and delivers each. One that fails stops none of
 * the others; only without podman nothing is tried.
 */
export const buildImages = <E extends { readonly _tag: string }, R>(
  sources: ReadonlyArray<ImageSource>,
  building: Building<E, R>
): Effect.Effect<ReadonlyArray<Built<E | ImageBuilderError>>, PodmanMissing, R | ImageBuilder> =>
  Effect.forEach(sources, (source) =>
    one(source, building).pipe(
      Effect.map((done) => ({ ...done, image: source.image, failure: Option.none() })),
      Effect.catchAll((error) =>
        isMissing(error)
          ? Effect.fail(error)
          : Effect.succeed({
              image: source.image,
              outcome: "failed" as const,
              digest: Option.none<string>(),
              failure: Option.some<E | ImageBuilderError>(error)
            })
      )
    )
  )
