import { randomBytes } from "node:crypto"
import * as argon2 from "@node-rs/argon2"
import { Effect, Redacted } from "effect"
import { PasswordRefused } from "./Failure.ts"

const MIN_LENGTH = 8
const MAX_LENGTH = 1024

// OWASP's second choice of parameters for Argon2id: 19 MiB, two passes, one lane.
const argon2id = 2
const options = { algorithm: argon2id, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 } as const

// They run in Node's pool of four threads, which token signatures need as well.
const turns = Effect.unsafeMakeSemaphore(2)

export const hash = (password: Redacted.Redacted<string>): Effect.Effect<string, PasswordRefused> => {
  const value = Redacted.value(password)
  const length = [...value].length
  if (length < MIN_LENGTH) return new PasswordRefused({ why: `it has fewer than ${MIN_LENGTH} characters` })
  if (length > MAX_LENGTH) return new PasswordRefused({ why: `it has more than ${MAX_LENGTH} characters` })
  return turns.withPermits(1)(Effect.promise((signal) => argon2.hash(value, options, signal)))
}

/** A hash that no password has: checking against it costs what checking a real one costs. */
export const decoy: Effect.Effect<string> = Effect.orDie(hash(Redacted.make(randomBytes(32).toString("base64"))))

export const matches = (passwordHash: string, password: Redacted.Redacted<string>): Effect.Effect<boolean> =>
  turns.withPermits(1)(
    Effect.promise((signal) => argon2.verify(passwordHash, Redacted.value(password), undefined, signal))
  )
