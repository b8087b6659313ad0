import { Context, type Effect } from "effect"
import type {
  Container,
  ContainerRuntime,
  ContainerUse,
  ExecResult,
  LogLine,
  NewContainer
} from "../services/ContainerRuntime.ts"
import type { PortInUse, RuntimeError, RuntimeRefused } from "../services/RuntimeError.ts"
import type { FakeCommand } from "./fakeAttach.ts"

/** How a container of an image behaves once it is started; without one it runs until it is stopped. */
export interface Behaviour {
  readonly exits?: { readonly afterMs: number; readonly code: number }
  readonly refuses?: RuntimeRefused | PortInUse
  /** Written at the start, to stdout where nothing else is said. */
  readonly logs?: ReadonlyArray<string | Pick<LogLine, "stream" | "line">>
  readonly exec?: (argv: ReadonlyArray<string>) => ExecResult
  /** A command with its input and output attached, until its exit code. Without it, what `exec` says. */
  readonly attach?: FakeCommand
  /** What it uses; nothing where nothing is said. */
  readonly uses?: (atNanos: number) => Partial<ContainerUse>
}

/** A program may look at how it was called. */
export type Program = Behaviour | ((container: NewContainer) => Behaviour)

/** What somebody else may give a container, and MCP does not. */
export interface ByHand {
  readonly restart?: string
  readonly beyond?: ReadonlyArray<string>
}

export type Operation = keyof ContainerRuntime["Type"]

/** The strings behind a fake runtime, for tests: faults, latency, and what happens outside of MCP. */
export class FakeRuntimeControl extends Context.Tag("mcp/FakeRuntimeControl")<
  FakeRuntimeControl,
  {
    readonly addImage: (reference: string, program?: Program) => Effect.Effect<void>
    /** An image that the image registry has, for `pull`. */
    readonly addRemoteImage: (reference: string, program?: Program) => Effect.Effect<void>
    /** From their next start on, containers of an image that is here behave so. */
    readonly program: (reference: string, program: Program) => Effect.Effect<void>
    /** The next `times` calls of the operation fail so. */
    readonly failNext: (operation: Operation, error: RuntimeError, times?: number) => Effect.Effect<void>
    readonly setLatency: (operation: Operation, ms: number) => Effect.Effect<void>
    /** While it is down all calls fail, and streams of events end with an error. */
    readonly setDown: (down: boolean) => Effect.Effect<void>
    /** A container ends by itself, or somebody kills it. */
    readonly kill: (container: string, exitCode: number) => Effect.Effect<void>
    /** The node is switched off and on again: podman no longer knows of what ran, and has lost none of it. */
    readonly reboot: Effect.Effect<void>
    /** All containers and networks are gone; images stay. */
    readonly lose: Effect.Effect<void>
    readonly emitLog: (container: string, stream: LogLine["stream"], line: string) => Effect.Effect<void>
    /** Somebody else's container, which runs; answers its id. */
    readonly addStranger: (
      container: string,
      made?: Partial<Omit<NewContainer, "containerName">> & ByHand
    ) => Effect.Effect<string>
    /** What a container was made with. */
    readonly specOf: (container: string) => Effect.Effect<NewContainer | undefined>
    /** Ids of the images that are here. */
    readonly images: Effect.Effect<ReadonlyArray<string>>
    /** Operations with their first argument, in order. */
    readonly calls: Effect.Effect<ReadonlyArray<string>>
    readonly containers: Effect.Effect<ReadonlyArray<Container>>
    readonly networks: Effect.Effect<ReadonlyArray<string>>
  }
>() {}
