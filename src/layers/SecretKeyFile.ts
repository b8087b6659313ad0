import { randomBytes } from "node:crypto"
import { lstatSync, readFileSync } from "node:fs"
import { Effect, Either, Layer, Redacted } from "effect"
import { keyBytes, nonceBytes, seal, unseal } from "../domain/Secret.ts"
import { Registry } from "../services/Registry.ts"
import { SecretKey, SecretKeyUnusable, SecretUnreadable } from "../services/SecretKey.ts"
import { createFile } from "./atomicFile.ts"
import { isMissing, whyNot } from "./fileError.ts"

const OTHERS = 0o077

/** Read each time: a key that is put back counts at once. */
const read = (file: string) =>
  Effect.try({
    try: () => {
      const stat = lstatSync(file)
      if (!stat.isFile()) throw new Error("is no file")
      if ((stat.mode & OTHERS) !== 0) throw new Error("can be read by others: chmod 0600")
      const key = Buffer.from(readFileSync(file, "utf8").trim(), "base64")
      if (key.length !== keyBytes) throw new Error("holds no key")
      return key
    },
    catch: (error) => error
  })

/** A key in a file that its owner alone can read. It is made when there is none, unless something is encrypted already. */
export const layer = (file: string): Layer.Layer<SecretKey, never, Registry> =>
  Layer.effect(
    SecretKey,
    Effect.gen(function* () {
      const registry = yield* Registry
      const unusable = (why: string) => new SecretKeyUnusable({ file, why })
      const make = Effect.gen(function* () {
        if (yield* registry.keepsSecrets) return yield* unusable("is missing")
        yield* Effect.tryPromise({
          try: () => createFile(file, `${randomBytes(keyBytes).toString("base64")}\n`, 0o600),
          catch: (error) => unusable(`cannot be written: ${whyNot(error)}`)
        })
        return yield* Effect.mapError(read(file), (error) => unusable(whyNot(error)))
      })
      const key = Effect.catchAll(read(file), (error) => (isMissing(error) ? make : unusable(whyNot(error))))
      yield* Effect.catchAll(key, (error) =>
        Effect.logError("secrets cannot be read or set").pipe(Effect.annotateLogs({ why: error.message }))
      )
      return SecretKey.of({
        seal: (place, value) =>
          Effect.map(key, (key) => seal(key, place, Redacted.value(value), randomBytes(nonceBytes))),
        unseal: (place, ciphertext) =>
          Effect.flatMap(key, (key) => {
            const { secret, service, version } = place
            return Either.match(unseal(key, place, ciphertext), {
              onLeft: () => new SecretUnreadable({ service, secret, version }),
              onRight: (value) => Effect.succeed(Redacted.make(value))
            })
          })
      })
    })
  )
