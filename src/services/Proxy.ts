import { Context, type Effect, type Option, Schema } from "effect"

export const ProxyMode = Schema.Literal("l4", "l7")
export type ProxyMode = typeof ProxyMode.Type

/** What one listener of the proxy knows a route by. */
export interface RouteKey {
  readonly hostname: string
  /** The proxy's listener. */
  readonly port: number
}

export interface Backend {
  readonly host: string
  readonly port: number
}

export interface ProxyRoute extends RouteKey {
  readonly mode: ProxyMode
  readonly backend: Backend
}

export class ProxyUnavailable extends Schema.TaggedError<ProxyUnavailable>()("ProxyUnavailable", {
  driver: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the proxy (${this.driver}) did not answer: ${this.why}`
  }
}

/** The proxy understood and said no. */
export class ProxyRefused extends Schema.TaggedError<ProxyRefused>()("ProxyRefused", {
  driver: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the proxy (${this.driver}) refused the routes: ${this.why}`
  }
}

/** The node's proxy: which backend serves a hostname. */
export class Proxy extends Context.Tag("mcp/Proxy")<
  Proxy,
  {
    /** `none`: there is no proxy, and what concerns routes is skipped. */
    readonly driver: string
    /** The first is a route's mode when it names none. */
    readonly modes: ReadonlyArray<ProxyMode>
    /** Whether it answers. */
    readonly check: Effect.Effect<void, ProxyUnavailable>
    /** All of it or nothing. Setting a route again, and removing one that is gone, changes nothing. */
    readonly change: (batch: {
      readonly set: ReadonlyArray<ProxyRoute>
      readonly remove: ReadonlyArray<RouteKey>
    }) => Effect.Effect<void, ProxyUnavailable | ProxyRefused>
    /** Requests that the backend still answers; none when the driver cannot tell. */
    readonly inFlight: (backend: Backend) => Effect.Effect<Option.Option<number>, ProxyUnavailable>
  }
>() {}
