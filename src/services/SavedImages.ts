import { Context, type Effect, type Stream } from "effect"
import type { ImageConfig, ImageLayer } from "../domain/ImageLayers.ts"
import type { FileError } from "./FileTransfer.ts"

/** An image in a folder of this machine. */
export interface SavedImage {
  readonly config: ImageConfig
  readonly configBytes: Uint8Array
  /** Each once, lowest first. */
  readonly layers: ReadonlyArray<ImageLayer>
  /** In pieces of up to 1 MiB. */
  readonly read: (layer: ImageLayer) => Stream.Stream<Uint8Array, FileError>
}

/** Images that podman has saved as files. */
export class SavedImages extends Context.Tag("mcp/SavedImages")<
  SavedImages,
  {
    /** The image of an OCI image layout whose layers are plain tars. */
    readonly open: (folder: string) => Effect.Effect<SavedImage, FileError>
  }
>() {}
