import { Context, type Effect, type Redacted } from "effect"

export interface ServerCertificate {
  readonly certificate: string
  readonly key: Redacted.Redacted<string>
  /** The authority that its clients trust, when that is known. */
  readonly authority: string | undefined
}

/** Looks at certificates in PEM. */
export class Certificates extends Context.Tag("mcp/Certificates")<
  Certificates,
  {
    /** Why a client that connects to `host` at that time would refuse this server; nothing when none would. */
    readonly problems: (server: ServerCertificate, host: string, now: number) => Effect.Effect<ReadonlyArray<string>>
  }
>() {}
