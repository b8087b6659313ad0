import { Context, type Effect } from "effect"

/** The ports of the node. */
export class HostPorts extends Context.Tag("mcp/HostPorts")<
  HostPorts,
  {
    /** Whether a port can be bound now, found out by binding it; without an address: on all of them. */
    readonly isFree: (port: {
      readonly ip: string | undefined
      readonly port: number
      readonly protocol: "tcp" | "udp"
    }) => Effect.Effect<boolean>
  }
>() {}
