import { Context, type Effect, type Option } from "effect"

/** What the node's kernel says of containers. */
export class KernelLog extends Context.Tag("mcp/KernelLog")<
  KernelLog,
  {
    /**
     * Whether the kernel killed a process of the container for its memory limit since then (milliseconds since the
     * epoch); none when its log cannot be read.
     */
    readonly oomKilled: (containerId: string, since: number) => Effect.Effect<Option.Option<boolean>>
  }
>() {}
