import { Context, type Effect, type Option, Schema, type Scope, type Stream } from "effect"
import type { Described } from "../domain/Described.ts"
import type { ImageConfig, ImageLayer, LayerPiece } from "../domain/ImageLayers.ts"
import type * as E from "./RuntimeError.ts"

export const RuntimeState = Schema.Literal("created", "running", "paused", "stopping", "exited", "removing", "unknown")
export type RuntimeState = typeof RuntimeState.Type

/** One container as the runtime has it. Times are milliseconds since the epoch. */
export class Container extends Schema.Class<Container>("mcp/Container")({
  id: Schema.String,
  containerName: Schema.String,
  image: Schema.String,
  imageId: Schema.String,
  state: RuntimeState,
  exitCode: Schema.optional(Schema.Number),
  startedAt: Schema.optional(Schema.Number),
  finishedAt: Schema.optional(Schema.Number),
  /** The runtime says that it was killed for its memory limit; only `inspect` tells. */
  oomKilled: Schema.optional(Schema.Boolean),
  labels: Schema.Record({ key: Schema.String, value: Schema.String }),
  /** `[ip:]host:container[/udp]`, canonical. */
  ports: Schema.Array(Schema.String)
}) {}

export class Image extends Schema.Class<Image>("mcp/Image")({
  id: Schema.String,
  references: Schema.Array(Schema.String),
  digests: Schema.Array(Schema.String),
  architecture: Schema.optional(Schema.String),
  /** The numeric user that the image runs as, when it names one. */
  user: Schema.optional(Schema.String)
}) {}

/** An image to be made of layers. Those with their content follow; the others must be here. */
export interface NewImage {
  /** With registry and tag. */
  readonly reference: string
  readonly config: ImageConfig
  readonly configBytes: Uint8Array
  readonly sent: ReadonlyArray<ImageLayer>
}

export interface NewContainer {
  readonly containerName: string
  /** A reference, or the id of an image that may have no name any more. */
  readonly image: string
  readonly labels: Readonly<Record<string, string>>
  readonly env: Readonly<Record<string, string>>
  readonly cmd: ReadonlyArray<string>
  readonly entrypoint: ReadonlyArray<string>
  readonly user: string | undefined
  /** `host`, `none` or the name of a bridge; aliases only for a bridge. */
  readonly network: { readonly to: string; readonly aliases: ReadonlyArray<string> }
  /** `[ip:]host:container[/udp]`. */
  readonly ports: ReadonlyArray<string>
  /** `source:target[:ro]`. */
  readonly volumes: ReadonlyArray<string>
  readonly memory: number | undefined
  readonly cpus: number | undefined
  readonly stopTimeoutSeconds: number
}

/** A container with all that it was made with. */
export interface Description extends Described {
  readonly container: Container
}

export interface LogLine {
  readonly stream: "stdout" | "stderr"
  readonly at: number | undefined
  readonly line: string
}

export interface LogOptions {
  readonly follow: boolean
  readonly tail: number | undefined
  readonly since: number | undefined
}

export interface RuntimeEvent {
  readonly at: number
  /** podman's word: create, init, start, died, stop, remove, rename, ... */
  readonly action: string
  readonly containerId: string
  readonly containerName: string
  readonly exitCode: number | undefined
  readonly labels: Readonly<Record<string, string>>
}

export interface ExecResult {
  readonly exitCode: number
  /** stdout and stderr together, cut at 64 KiB. */
  readonly output: string
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** A command to run in a container with its input and output attached. */
export interface AttachedCommand {
  readonly argv: ReadonlyArray<string>
  /** `K=V`. */
  readonly env: ReadonlyArray<string>
  /** With a terminal, stdout and stderr are one. */
  readonly terminal: TerminalSize | undefined
  /** Whether input follows. */
  readonly stdin: boolean
}

export type AttachedOutput =
  | { readonly _tag: "Bytes"; readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array }
  /** The last one. `cut`: the end of the output may be missing, since the command did not read all of its input. */
  | { readonly _tag: "Exit"; readonly exitCode: number; readonly cut: boolean }

/** A command that runs. */
export interface Attached {
  /** What is not read of it holds the command up. */
  readonly output: Stream.Stream<AttachedOutput, E.CommandNotRun | E.CommandCutOff | Unavailable>
  /** Waits while the command reads slower; does nothing once it has ended. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void>
  readonly closeInput: Effect.Effect<void>
  /** Does nothing without a terminal. */
  readonly resize: (size: TerminalSize) => Effect.Effect<void>
}

/** What a container has used so far, and uses now. */
export interface ContainerUse {
  readonly containerId: string
  /** Of all cores, since it was started; `atNanos` is when, on a clock of the runtime's own. */
  readonly cpuNanos: number
  readonly atNanos: number
  readonly memoryBytes: number
  /** The memory of the whole node where none is set. */
  readonly memoryLimitBytes: number
  readonly networkInBytes: number
  readonly networkOutBytes: number
  readonly blockInBytes: number
  readonly blockOutBytes: number
  readonly pids: number
}

type Unavailable = E.RuntimeUnavailable

/** The containers, images and networks of one node. Ordinary calls are bounded in time by the layer. */
export class ContainerRuntime extends Context.Tag("mcp/ContainerRuntime")<
  ContainerRuntime,
  {
    /** Folders of the node in which the runtime keeps images and containers, and stages what it pulls. */
    readonly folders: Effect.Effect<ReadonlyArray<string>, Unavailable>
    readonly version: Effect.Effect<string, Unavailable>
    /** All containers, running or not, also those that MCP did not make. */
    readonly list: Effect.Effect<ReadonlyArray<Container>, Unavailable>
    /** By name or id. */
    readonly inspect: (container: string) => Effect.Effect<Container, E.ContainerNotFound | Unavailable>
    /** As `inspect`, with all that it was made with. */
    readonly describe: (container: string) => Effect.Effect<Description, E.ContainerNotFound | Unavailable>
    /** Creates, with the runtime's own restart policy `no`, and answers the id. Does not pull. */
    readonly create: (
      container: NewContainer
    ) => Effect.Effect<string, E.ContainerNameInUse | E.ImageNotFound | E.DiskFull | E.RuntimeRefused | Unavailable>
    /** Succeeds when it runs already. */
    readonly start: (
      container: string
    ) => Effect.Effect<void, E.ContainerNotFound | E.PortInUse | E.DiskFull | E.RuntimeRefused | Unavailable>
    /** SIGTERM, then SIGKILL after `timeoutMs`. Succeeds when it is stopped already. */
    readonly stop: (container: string, timeoutMs: number) => Effect.Effect<void, E.ContainerNotFound | Unavailable>
    /** Removes, killing it first when it runs. Succeeds when it is gone already. */
    readonly remove: (container: string) => Effect.Effect<void, E.RuntimeRefused | Unavailable>
    readonly rename: (
      container: string,
      to: string
    ) => Effect.Effect<void, E.ContainerNotFound | E.ContainerNameInUse | Unavailable>
    /** Waits until it is no longer running; answers its exit code. */
    readonly wait: (container: string) => Effect.Effect<number, E.ContainerNotFound | Unavailable>
    /** Without a TTY and without input. */
    readonly exec: (
      container: string,
      argv: ReadonlyArray<string>
    ) => Effect.Effect<ExecResult, E.ContainerNotFound | E.RuntimeRefused | Unavailable>
    /** Runs a command until it ends. One that still runs when the scope closes is hung up on, and soon killed. */
    readonly attach: (
      container: string,
      command: AttachedCommand
    ) => Effect.Effect<Attached, E.ContainerNotFound | E.RuntimeRefused | Unavailable, Scope.Scope>
    /** Of those that run, by id; others are left out. */
    readonly stats: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<ContainerUse>, Unavailable>
    readonly logs: (container: string, options: LogOptions) => Stream.Stream<LogLine, E.ContainerNotFound | Unavailable>
    /** From the moment in which the stream is started, so list after that; fails when the connection is lost. */
    readonly events: Stream.Stream<RuntimeEvent, Unavailable>
    /** By reference or id. */
    readonly image: (reference: string) => Effect.Effect<Option.Option<Image>, Unavailable>
    /** Progress as lines for people, then the stream ends; afterwards `image` finds it. */
    readonly pull: (
      reference: string,
      options: { readonly authFile: string | undefined }
    ) => Stream.Stream<string, E.ImagePullFailed | E.DiskFull | Unavailable>
    /** Digests of all layers that images here have. */
    readonly layers: Effect.Effect<ReadonlySet<string>, Unavailable>
    /**
     * Puts an image together and gives it its name, which another image may have had. The pieces are those of the sent
     * layers, in order. When they fail, or the caller goes away, there is no image.
     */
    readonly loadImage: <Err, R>(
      image: NewImage,
      pieces: Stream.Stream<LayerPiece, Err, R>
    ) => Effect.Effect<void, Err | E.ImageLoadFailed | E.LayerGone | E.DiskFull | Unavailable, R>
    /** By id, with all its names. Answers whether it is gone: an image that a container uses stays. */
    readonly removeImage: (id: string) => Effect.Effect<boolean, E.RuntimeRefused | Unavailable>
    /** Creates a bridge of that name, with DNS, unless it is there. */
    readonly ensureNetwork: (
      network: string,
      labels: Readonly<Record<string, string>>
    ) => Effect.Effect<void, E.RuntimeRefused | Unavailable>
    /** Succeeds when it is gone already or does not carry these labels; refused while a container is on it. */
    readonly removeNetwork: (
      network: string,
      labels: Readonly<Record<string, string>>
    ) => Effect.Effect<void, E.RuntimeRefused | Unavailable>
  }
>() {}
