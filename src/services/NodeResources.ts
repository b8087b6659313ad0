import { Context, type Effect, type Option } from "effect"

/** Bytes. */
export interface Space {
  readonly totalBytes: number
  /** What ordinary programs may still use. */
  readonly freeBytes: number
  /** The same for all paths on one file system. */
  readonly device: number
}

/** The hardware of the node, and how much of it is used. */
export class NodeResources extends Context.Tag("mcp/NodeResources")<
  NodeResources,
  {
    readonly cpus: Effect.Effect<number>
    /** Bytes. */
    readonly memory: Effect.Effect<{ readonly totalBytes: number; readonly usedBytes: number }>
    /** Of the file system that holds a path; none when the path is not there. */
    readonly disk: (path: string) => Effect.Effect<Option.Option<Space>>
  }
>() {}
