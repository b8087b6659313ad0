import { Effect, Option, Stream } from "effect"
import { parseVolume } from "../domain/Scalars.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { ServiceFolders } from "../services/ServiceFolders.ts"
import type { Emit } from "./DeployEvent.ts"
import { step } from "./deploySteps.ts"

/** Pulls what is missing, side by side; with `always` asks the image registry again for what is here. */
export const pullImages = (components: ReadonlyArray<ComponentSpec>, always: boolean, emit: Emit) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const { authFile } = yield* NodeInfo
    const byImage = new Map(components.map((component) => [component.image, component.name]))
    yield* Effect.forEach(
      byImage,
      ([image, component]) =>
        Effect.gen(function* () {
          if (!always && Option.isSome(yield* runtime.image(image))) return
          yield* runtime.pull(image, { authFile }).pipe(
            Stream.runForEach((message) => emit({ _tag: "Pull", component, image, message })),
            step(emit, component, "pull")
          )
        }),
      { concurrency: 4 }
    )
  })

/** `uid[:gid]` as numbers; a name is known to the image alone, and root's folders are the safe answer then. */
const numericOwner = (user: string | undefined) => {
  const match = /^(\d+)(?::(\d+))?$/.exec(user ?? "")
  return match ? { uid: Number(match[1]), gid: Number(match[2] ?? match[1]) } : undefined
}

/** Makes the service's own folders that its volumes name, owned by the component's user, or else the image's. */
export const makeFolders = (spec: ServiceSpec, components: ReadonlyArray<ComponentSpec>) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const { filesRoot } = yield* NodeInfo
    const folders = yield* ServiceFolders
    const own = `${filesRoot}/${spec.name}`
    for (const component of components) {
      for (const text of component.volumes) {
        const source = parseVolume(text)?.source ?? ""
        if (source !== own && !source.startsWith(`${own}/`)) continue
        const image = Option.getOrUndefined(yield* runtime.image(component.image))
        const owner = numericOwner(component.user) ?? numericOwner(image?.user) ?? { uid: 0, gid: 0 }
        yield* folders.ensure(spec.name, source, owner)
      }
    }
  })
