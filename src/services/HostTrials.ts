import { Context, type Effect, Schema } from "effect"

export class TrialFailed extends Schema.TaggedError<TrialFailed>()("TrialFailed", { why: Schema.String }) {
  override get message() {
    return this.why
  }
}

export interface ListenOn {
  readonly host: string
  readonly port: number
  /** The agent's own, in PEM, by which an agent that runs already is known. */
  readonly certificate: string | undefined
}

/** What a node has to be able to do, tried for real. Nothing of it stays. */
export class HostTrials extends Context.Tag("mcp/HostTrials")<
  HostTrials,
  {
    /** podman's version. */
    readonly podman: Effect.Effect<string, TrialFailed>
    /** A container of a new image on a new bridge: its address there, and whether its tmpfs is one. */
    readonly container: Effect.Effect<{ readonly address: string; readonly tmpfs: boolean }, TrialFailed>
    /** Whether a container that takes more memory than it may is killed. */
    readonly memoryLimit: Effect.Effect<boolean, TrialFailed>
    /** The version of zstd, which packs snapshots. */
    readonly zstd: Effect.Effect<string, TrialFailed>
    readonly listen: (on: ListenOn) => Effect.Effect<"free" | "agent" | "taken" | "absent", TrialFailed>
    /** The identity server's clock, in milliseconds, when it tells. */
    readonly mcias: (server: {
      readonly serverUrl: string
      readonly caCert?: string
    }) => Effect.Effect<{ readonly clock: number | undefined }, TrialFailed>
  }
>() {}
