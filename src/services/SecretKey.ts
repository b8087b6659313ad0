import { Context, type Effect, type Redacted, Schema } from "effect"
import type { SecretPlace } from "../domain/Secret.ts"
import type { RegistryUnavailable } from "./RegistryError.ts"

/** What is encrypted stays so: the key is missing, not a key, or others can read it. */
export class SecretKeyUnusable extends Schema.TaggedError<SecretKeyUnusable>()("SecretKeyUnusable", {
  file: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the key of the secrets cannot be used: ${this.file} ${this.why}`
  }
}

export class SecretUnreadable extends Schema.TaggedError<SecretUnreadable>()("SecretUnreadable", {
  service: Schema.String,
  secret: Schema.String,
  version: Schema.Number
}) {
  override get message() {
    return `secret ${this.secret} of ${this.service} (version ${this.version}) cannot be decrypted: another key made it, or it was changed`
  }
}

/** The agent's key, and all that may be done with it. */
export class SecretKey extends Context.Tag("mcp/SecretKey")<
  SecretKey,
  {
    readonly seal: (
      place: SecretPlace,
      value: Redacted.Redacted<Uint8Array>
    ) => Effect.Effect<string, SecretKeyUnusable | RegistryUnavailable>
    readonly unseal: (
      place: SecretPlace,
      ciphertext: string
    ) => Effect.Effect<Redacted.Redacted<Uint8Array>, SecretKeyUnusable | SecretUnreadable | RegistryUnavailable>
  }
>() {}
