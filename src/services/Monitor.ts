import { Context, type Effect, type Option, type Scope } from "effect"
import type { RegistryUnavailable } from "./RegistryError.ts"
import type { RuntimeUnavailable } from "./RuntimeError.ts"

/** A service, or one of its components. */
export interface MonitorTarget {
  readonly service: string
  readonly component: string | undefined
}

/** Knows how the node is, and tells the operator when that is not as it should be. */
export class Monitor extends Context.Tag("mcp/Monitor")<
  Monitor,
  {
    /** Watches until the scope ends: states and events go to the registry, drift to the operator. */
    readonly watch: Effect.Effect<void, never, Scope.Scope>
    /** Lists all containers and brings the registry up to them, as each interval does; nothing while it does not watch. */
    readonly scan: Effect.Effect<void, RegistryUnavailable | RuntimeUnavailable>
    /** Whether a component keeps leaving its desired state. */
    readonly flaps: (service: string, component: string) => boolean
    /** The end of the maintenance window that the component is in, in milliseconds since the epoch. */
    readonly silencedUntil: (service: string, component: string, now: number) => number | undefined
    /** No alerts of the target for so many milliseconds; 0 ends a window. Answers until when. */
    readonly silence: (
      target: MonitorTarget,
      forMs: number,
      actor: string
    ) => Effect.Effect<Option.Option<number>, RegistryUnavailable>
  }
>() {}
