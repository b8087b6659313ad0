import { Effect, Either, Option, Stream } from "effect"
import * as Reference from "../domain/Image.ts"
import type { ComponentSpec } from "../domain/Spec.ts"
import { ContainerRuntime, type Image } from "../services/ContainerRuntime.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Registry } from "../services/Registry.ts"
import { ImageNotFound, ImagePullFailed } from "../services/RuntimeError.ts"
import type { Emit } from "./DeployEvent.ts"
import type { ProgramError } from "./explain.ts"
import { step } from "./progress.ts"

/** The image that a component is to run, pinned: by its id here, by its digest in an image registry. */
export interface ResolvedImage {
  readonly id: string
  readonly digest: string | undefined
  readonly architecture: string | undefined
  readonly user: string | undefined
}

/** A revision's images with which a component is to run again, whatever its reference means by now. */
export type Pinned = ReadonlyMap<string, { readonly imageId: string; readonly digest: string | undefined }>

const repositoryOf = (reference: string) => {
  const image = Reference.parse(reference)
  return image && `${image.registry}/${image.repository}`
}

const resolved = (reference: string, image: Image): ResolvedImage => ({
  id: image.id,
  digest: image.digests.find((digest) => digest.split("@")[0] === repositoryOf(reference)),
  architecture: image.architecture,
  user: image.user
})

/** Revisions of a service whose images are kept. */
export const keptRevisions = 10

const pull = (component: string, reference: string, emit: Emit) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const { authFile } = yield* NodeInfo
    const before = Option.getOrUndefined(yield* runtime.image(reference))
    yield* runtime.pull(reference, { authFile }).pipe(
      Stream.runForEach((message) => emit({ _tag: "Pull", component, image: reference, message })),
      Effect.mapError((error) =>
        error._tag === "ImagePullFailed" && before !== undefined ? new ImagePullFailed({ ...error, here: true }) : error
      ),
      step(emit, component, "pull")
    )
    const image = Option.getOrUndefined(yield* runtime.image(reference))
    if (image === undefined) return yield* new ImageNotFound({ image: reference })
    if (image.id !== before?.id) yield* registry.notePulledImage(image.id, reference)
    return image
  })

interface Resolving {
  readonly pinned: Pinned
  /** Asks the image registry again for what is here. */
  readonly always: boolean
  /** Without it an image that is not here is missing. */
  readonly mayPull: boolean
}

const resolve = (component: ComponentSpec, { always, mayPull, pinned }: Resolving, emit: Emit) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const pin = pinned.get(component.name)
    if (pin) {
      const here = yield* runtime.image(pin.imageId)
      if (Option.isSome(here)) return { ...resolved(component.image, here.value), digest: pin.digest }
      if (!mayPull) return yield* new ImageNotFound({ image: pin.digest ?? component.image })
      return resolved(component.image, yield* pull(component.name, pin.digest ?? component.image, emit))
    }
    const here = yield* runtime.image(component.image)
    if (Option.isSome(here) && !(always && mayPull)) return resolved(component.image, here.value)
    if (!mayPull) return yield* new ImageNotFound({ image: component.image })
    return resolved(component.image, yield* pull(component.name, component.image, emit))
  })

/** Finds each component's image, pulling what is missing, side by side. */
export const resolveImages = (components: ReadonlyArray<ComponentSpec>, options: Resolving, emit: Emit) =>
  Effect.gen(function* () {
    // One look-up an image: components often share one.
    const key = (c: ComponentSpec) => options.pinned.get(c.name)?.imageId ?? c.image
    const first = new Map([...components].reverse().map((component) => [key(component), component]))
    const found = new Map(
      yield* Effect.forEach(
        first,
        ([image, component]) =>
          Effect.map(Effect.either(resolve(component, options, emit)), (r) => [image, r] as const),
        { concurrency: "unbounded" }
      )
    )
    const images = new Map<string, ResolvedImage>()
    const failed: Array<{ component: string; error: ProgramError }> = []
    for (const component of components) {
      const result = found.get(key(component))
      if (result === undefined) continue
      if (Either.isRight(result)) images.set(component.name, result.right)
      else if (first.get(key(component)) === component) failed.push({ component: component.name, error: result.left })
    }
    return { resolved: images, failed }
  })

/** What the registry has of the image that a component's container was made from. */
export interface Recorded {
  readonly imageId: string | undefined
  readonly digest: string | undefined
}

/**
 * The image for a container that is made again: the very one where it is here, by whatever name. Where it is not, and
 * `mayPull`, it is pulled by its digest. What has none was built or loaded here, and its name is all there is to go by;
 * that is the last resort too when nothing can be pulled.
 */
export const imageAgain = (component: ComponentSpec, { digest, imageId }: Recorded, mayPull: boolean) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const here = yield* Effect.findFirst(
      [imageId, digest].filter((each) => each !== undefined),
      (each) => Effect.map(runtime.image(each), Option.isSome)
    )
    if (Option.isSome(here)) return Option.getOrUndefined(yield* runtime.image(here.value))
    const quiet = () => Effect.void
    const named = Effect.map(runtime.image(component.image), Option.getOrUndefined)
    if (!mayPull) return yield* named
    if (digest === undefined) return (yield* named) ?? (yield* pull(component.name, component.image, quiet))
    return yield* Effect.catchTag(pull(component.name, digest, quiet), "ImagePullFailed", (error) =>
      Effect.flatMap(named, (image) => (image === undefined ? error : Effect.succeed(image)))
    )
  })

/**
 * Removes the images that MCP has pulled or loaded and that no component, no kept revision and no container uses. One
 * that was loaded stays until it has been deployed once, or another has its name.
 */
export const removeUnusedImages = Effect.gen(function* () {
  const registry = yield* Registry
  const runtime = yield* ContainerRuntime
  const brought = yield* registry.pulledImages
  if (brought.length === 0) return
  const used = new Set([
    ...(yield* registry.imagesInUse(keptRevisions)),
    ...(yield* runtime.list).map((container) => container.imageId)
  ])
  for (const { imageId, reference, waits } of brought) {
    if (used.has(imageId)) {
      if (waits) yield* registry.noteImageDeployed(imageId)
      continue
    }
    if (waits && Option.exists(yield* runtime.image(reference), ({ id }) => id === imageId)) continue
    if (yield* runtime.removeImage(imageId)) yield* registry.forgetPulledImage(imageId)
  }
})
