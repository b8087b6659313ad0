import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import { Redacted } from "effect"

/* RFC 6238 with what every authenticator takes: SHA-1, six digits, thirty seconds. */

const STEP_MS = 30_000
/** A clock may be off by one step, and a code typed slowly. */
const DRIFT = 1
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

/** 160 bits in base32, as authenticators take it. */
export const newSecret = (): Redacted.Redacted<string> =>
  Redacted.make([...randomBytes(32)].map((byte) => LETTERS[byte & 31]).join(""))

const bytesOf = (base32: string): Buffer => {
  const bits = [...base32].map((letter) => LETTERS.indexOf(letter).toString(2).padStart(5, "0")).join("")
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}

export const stepAt = (now: number): number => Math.floor(now / STEP_MS)

export const codeOf = (secret: Redacted.Redacted<string>, step: number, digits = 6): string => {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac("sha1", bytesOf(Redacted.value(secret)))
    .update(counter)
    .digest()
  const number = mac.readUInt32BE((mac[19] ?? 0) & 15) & 0x7fff_ffff
  return String(number % 10 ** digits).padStart(digits, "0")
}

/** The step whose code this is; whoever counts it as used must also refuse the earlier ones. */
export const stepOf = (
  secret: Redacted.Redacted<string>,
  code: Redacted.Redacted<string>,
  now: number
): number | undefined => {
  // Some authenticators show "123 456".
  const given = Buffer.from(Redacted.value(code).replaceAll(" ", ""))
  for (let step = stepAt(now) - DRIFT; step <= stepAt(now) + DRIFT; step++) {
    const wanted = Buffer.from(codeOf(secret, step))
    if (given.length === wanted.length && timingSafeEqual(given, wanted)) return step
  }
  return undefined
}

/** What an authenticator reads, as text or from a QR code made of it. */
export const uriOf = (secret: Redacted.Redacted<string>, username: string, issuer: string): string => {
  const from = encodeURIComponent(issuer.replace(/^https?:\/\//, "").replaceAll(":", " "))
  const label = `${from}:${encodeURIComponent(username)}`
  return `otpauth://totp/${label}?secret=${Redacted.value(secret)}&issuer=${from}&algorithm=SHA1&digits=6&period=30`
}
