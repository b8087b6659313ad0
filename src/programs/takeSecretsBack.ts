import { Effect, Option, type Redacted } from "effect"
import type { SecretVersions } from "../domain/Secret.ts"
import { Registry, type SecretRow } from "../services/Registry.ts"
import { type Generation, SecretFiles } from "../services/SecretFiles.ts"
import { SecretKey } from "../services/SecretKey.ts"
import { sameValue } from "./secrets.ts"

/** A container whose files may still be there. */
export interface Holder {
  readonly of: Generation
  readonly secrets: ReadonlyArray<string>
  readonly createdAt: number
}

/** The kept version that has this value. */
const knownAs = (rows: ReadonlyArray<SecretRow>, value: Redacted.Redacted<Uint8Array>) =>
  Effect.gen(function* () {
    const key = yield* SecretKey
    for (const row of rows) {
      if (row.ciphertext === undefined) continue
      const kept = yield* Effect.option(key.unseal(row, row.ciphertext))
      if (Option.exists(kept, (each) => sameValue(each, value))) return row.version
    }
    return undefined
  })

/**
 * The versions of the secrets that adopted containers have, from their files. What the registry knows nothing of is kept
 * from now on, the newest container's as the newest; what it has another value of stays as it is there, and the next
 * deploy brings that. With `dryRun` nothing is kept.
 */
export const takeSecretsBack = (
  holders: ReadonlyArray<Holder>,
  { actor, dryRun }: { readonly actor: string; readonly dryRun: boolean }
) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const files = yield* SecretFiles
    const key = yield* SecretKey
    const found = new Map<string, SecretVersions>()
    /** Those of which nothing was known before this act. */
    const lost = new Set<string>()
    for (const { of, secrets } of [...holders].sort((a, b) => a.createdAt - b.createdAt)) {
      for (const secret of secrets) {
        const value = yield* files.read(of, secret)
        if (Option.isNone(value)) continue
        const rows = (yield* registry.secrets(of.service)).filter((row) => row.secret === secret)
        if (rows.every(({ ciphertext }) => ciphertext === undefined)) lost.add(secret)
        let version = yield* knownAs(rows, value.value)
        if (version === undefined && lost.has(secret)) {
          version = (rows[0]?.version ?? 0) + 1
          if (!dryRun) {
            const ciphertext = yield* key.seal({ service: of.service, secret, version }, value.value)
            yield* registry.putSecret({ service: of.service, secret, version, ciphertext, actor })
          }
        }
        if (version !== undefined) found.set(of.component, { ...found.get(of.component), [secret]: version })
      }
    }
    return found
  })
