import { Context, type Effect, type Redacted, Schema } from "effect"
import type { AltName, Validity } from "../domain/Certificates.ts"

/** A certificate in PEM and its private key. */
export interface KeyPair {
  readonly certificate: string
  readonly key: Redacted.Redacted<string>
}

/** A certificate, or an authority's key, that cannot be used for what was asked. */
export class CertificateUnusable extends Schema.TaggedError<CertificateUnusable>()("CertificateUnusable", {
  certificate: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.certificate} cannot be used: ${this.why}`
  }
}

export interface CertificateFacts extends Validity {
  readonly subject: string
  readonly isAuthority: boolean
}

/** Makes keys and certificates, and keeps none. */
export class CertificateAuthority extends Context.Tag("mcp/CertificateAuthority")<
  CertificateAuthority,
  {
    readonly selfSigned: (authority: {
      readonly subject: string
      readonly validity: Validity
    }) => Effect.Effect<KeyPair>
    /** What the first certificate of a PEM file says, and whether the key is its own. */
    readonly inspect: (file: string, pair: KeyPair) => Effect.Effect<CertificateFacts, CertificateUnusable>
    /** A server certificate, signed by the authority. */
    readonly sign: (
      authority: KeyPair,
      server: { readonly subject: string; readonly names: ReadonlyArray<AltName>; readonly validity: Validity }
    ) => Effect.Effect<KeyPair>
  }
>() {}
