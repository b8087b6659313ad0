import { Context, type Effect } from "effect"

/** What a probe found; `detail` is one short line for people: `HTTP 503: database is down`, `connection refused`. */
export interface ProbeResult {
  readonly healthy: boolean
  readonly detail: string
}

/** Health probes from the host. A probe never fails: what goes wrong is its result. */
export class Prober extends Context.Tag("mcp/Prober")<
  Prober,
  {
    /** Healthy on a status of 200 to 399; redirects are not followed. */
    readonly http: (
      target: { host: string; port: number; path: string },
      timeoutMs: number
    ) => Effect.Effect<ProbeResult>
    /** Whether anything there speaks it, over TLS of any certificate or in clear: a status below 500, or `SERVING`. */
    readonly serves: (
      protocol: "http" | "grpc",
      target: { host: string; port: number },
      timeoutMs: number
    ) => Effect.Effect<ProbeResult>
    readonly tcp: (target: { host: string; port: number }, timeoutMs: number) => Effect.Effect<ProbeResult>
  }
>() {}
