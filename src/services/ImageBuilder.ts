import { Context, type Effect, type Option, type Scope, type Stream } from "effect"
import type { BuildDiskFull, BuildFailed, ImageRegistryError, LocalPodmanError } from "./BuildError.ts"

export interface BuildOrder {
  /** The full name that the image gets. */
  readonly reference: string
  /** The folder of which the Dockerfile copies, absolute. */
  readonly context: string
  /** Absolute. */
  readonly dockerfile: string
  /** Of the node that it is for; the machine's own where none is said. */
  readonly arch?: string | undefined
}

/** What podman writes while it builds. */
export interface BuildLine {
  readonly text: string
  /** The first of a step of the Dockerfile. */
  readonly step: boolean
}

/** The images of the operator's own machine, and of image registries with the credentials that this machine has. */
export class ImageBuilder extends Context.Tag("mcp/ImageBuilder")<
  ImageBuilder,
  {
    /** Whether its image registry has an image of this name. */
    readonly has: (reference: string) => Effect.Effect<boolean, LocalPodmanError | ImageRegistryError>
    /** The build ends with the stream, whatever ends that. */
    readonly build: (
      order: BuildOrder
    ) => Stream.Stream<BuildLine, LocalPodmanError | ImageRegistryError | BuildFailed | BuildDiskFull>
    /** To its image registry; answers its digest there, where podman tells it. */
    readonly push: (
      reference: string
    ) => Effect.Effect<Option.Option<string>, LocalPodmanError | ImageRegistryError | BuildDiskFull>
    /** The image of this machine as a folder with an OCI image layout, there as long as the scope. */
    readonly saved: (reference: string) => Effect.Effect<string, LocalPodmanError | BuildDiskFull, Scope.Scope>
  }
>() {}
