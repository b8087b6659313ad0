import { createCipheriv, createDecipheriv } from "node:crypto"
import { Either, Schema } from "effect"

export const SecretName = Schema.String.pipe(
  Schema.pattern(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/, { message: () => "the name of a secret" })
)

/** Which version of each secret a container was made with, by the secret's name. */
export const SecretVersions = Schema.Record({ key: Schema.String, value: Schema.Number })
export type SecretVersions = typeof SecretVersions.Type

/** One version of a secret: a ciphertext belongs to it alone. */
export interface SecretPlace {
  readonly service: string
  readonly secret: string
  readonly version: number
}

/** As long as a value may be. */
export const longestSecret = 512 * 1024

const cipher = "aes-256-gcm"
export const keyBytes = 32
export const nonceBytes = 12
const tagBytes = 16
const format = "1"

/** A ciphertext that was moved to another place is as wrong as one that was changed. */
const boundTo = ({ secret, service, version }: SecretPlace) =>
  Buffer.from(JSON.stringify(["mcp secret", format, service, secret, version]))

/** AES-256-GCM; the nonce must be new for each value. */
export const seal = (key: Uint8Array, place: SecretPlace, value: Uint8Array, nonce: Uint8Array): string => {
  const gcm = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes })
  gcm.setAAD(boundTo(place))
  const sealed = Buffer.concat([gcm.update(value), gcm.final()])
  return `${format}:${Buffer.concat([nonce, gcm.getAuthTag(), sealed]).toString("base64")}`
}

/** Nothing to be had from what another key made, or what was changed or moved. */
export const unseal = (key: Uint8Array, place: SecretPlace, ciphertext: string): Either.Either<Uint8Array, "wrong"> => {
  if (!ciphertext.startsWith(`${format}:`)) return Either.left("wrong")
  const bytes = Buffer.from(ciphertext.slice(format.length + 1), "base64")
  if (bytes.length < nonceBytes + tagBytes) return Either.left("wrong")
  try {
    const gcm = createDecipheriv(cipher, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
    gcm.setAAD(boundTo(place))
    gcm.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
    return Either.right(Buffer.concat([gcm.update(bytes.subarray(nonceBytes + tagBytes)), gcm.final()]))
  } catch {
    return Either.left("wrong")
  }
}

/** Where a secret is in its containers. */
export const mountedAt = (secret: string) => `/run/secrets/${secret}`
