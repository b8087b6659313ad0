import { Effect, Option, Redacted, Schema } from "effect"
import { ServiceName } from "../domain/Names.ts"
import { longestSecret, SecretName, type SecretVersions } from "../domain/Secret.ts"
import { Registry, type SecretRow } from "../services/Registry.ts"
import { SecretKey } from "../services/SecretKey.ts"
import { findService } from "./findService.ts"
import { keptRevisions } from "./images.ts"
import { SecretInUse, SecretInvalid, SecretNotFound } from "./ProgramError.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

/** One component that a secret is of, and the version that its container has. */
export interface SecretUse {
  readonly component: string
  readonly version: number | undefined
}

export interface ListedSecret {
  readonly secret: string
  /** Absent: a component names it, and it is not set. */
  readonly newest: SecretRow | undefined
  readonly uses: ReadonlyArray<SecretUse>
}

export interface SetRequest {
  readonly service: string
  readonly secret: string
  readonly value: Redacted.Redacted<Uint8Array>
  readonly actor: string
}

const isService = Schema.is(ServiceName)
const isSecret = Schema.is(SecretName)

/** What is deployed names it, or a container has it. */
const usesOf = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const stored = Option.getOrUndefined(yield* registry.service(service))
    const has = new Map((yield* registry.components(service)).map(({ component, secrets }) => [component, secrets]))
    const uses = new Map<string, Array<SecretUse>>()
    const note = (secret: string, component: string) => {
      const known = uses.get(secret) ?? []
      if (known.some((use) => use.component === component)) return
      uses.set(secret, [...known, { component, version: has.get(component)?.[secret] }])
    }
    for (const { name, secrets } of stored?.spec.components ?? []) for (const secret of secrets) note(secret, name)
    for (const [component, versions] of has) for (const secret of Object.keys(versions)) note(secret, component)
    return uses
  })

/** Two values are one when their bytes are. */
export const sameValue = (a: Redacted.Redacted<Uint8Array>, b: Redacted.Redacted<Uint8Array>): boolean => {
  const [one, other] = [Redacted.value(a), Redacted.value(b)]
  return one.length === other.length && one.every((byte, i) => byte === other[i])
}

const newestOf = (rows: ReadonlyArray<SecretRow>) => {
  const newest = new Map<string, SecretRow>()
  for (const row of rows) if (!newest.has(row.secret)) newest.set(row.secret, row)
  return newest
}

const checked = ({ secret, service, value }: SetRequest) =>
  Effect.gen(function* () {
    if (!isService(service)) return yield* new SecretInvalid({ service, why: `"${service}" is no service's name` })
    if (!isSecret(secret)) {
      const why = `"${secret}" is no secret's name: letters, digits, "_", "." and "-", at most 63`
      return yield* new SecretInvalid({ service, why })
    }
    const size = Redacted.value(value).length
    if (size === 0) return yield* new SecretInvalid({ service, why: "the value is empty" })
    if (size > longestSecret) {
      return yield* new SecretInvalid({ service, why: `the value has ${size} bytes, and may have ${longestSecret}` })
    }
  })

/** While an act is under way that may need them, older versions stay until it is over. */
const pruned = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const locks = yield* ServiceLocks
    const how = { automatic: true }
    yield* locks.withLock(service, "a secret set", how)(registry.pruneSecrets(service, keptRevisions))
  }).pipe(Effect.catchTag("ServiceBusy", () => Effect.void))

/**
 * Keeps a value as the secret's newest version; containers get it by the next deploy. The same value again changes
 * nothing. The service need not be there yet.
 */
export const setSecret = (request: SetRequest) =>
  Effect.gen(function* () {
    const { actor, secret, service, value } = request
    yield* checked(request)
    const registry = yield* Registry
    const key = yield* SecretKey
    for (;;) {
      const newest = newestOf(yield* registry.secrets(service)).get(secret)
      const uses = (yield* usesOf(service)).get(secret) ?? []
      if (newest?.ciphertext !== undefined) {
        // What cannot be read is replaced: that is a way out when the key is another one.
        const before = yield* key.unseal(newest, newest.ciphertext).pipe(
          Effect.asSome,
          Effect.catchTag("SecretUnreadable", () => Effect.succeedNone)
        )
        if (Option.isSome(before) && sameValue(before.value, value)) {
          return { version: newest.version, changed: false, uses }
        }
      }
      const version = (newest?.version ?? 0) + 1
      const ciphertext = yield* key.seal({ service, secret, version }, value)
      if (!(yield* registry.putSecret({ service, secret, version, ciphertext, actor }))) continue
      yield* pruned(service)
      return { version, changed: true, uses }
    }
  })

/** Names, versions and who uses them; no value. */
export const listSecrets = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const newest = newestOf(yield* registry.secrets(service))
    const uses = yield* usesOf(service)
    const kept = [...newest.values()].filter(({ ciphertext }) => ciphertext !== undefined)
    if (kept.length === 0) yield* findService(service)
    const names = [...new Set([...kept.map(({ secret }) => secret), ...uses.keys()])].sort()
    return names.map(
      (secret): ListedSecret => ({
        secret,
        newest: kept.find((row) => row.secret === secret),
        uses: uses.get(secret) ?? []
      })
    )
  })

/** All of its versions, for good. Refused while what is deployed needs it. */
export const removeSecret = (service: string, secret: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const locks = yield* ServiceLocks
    yield* locks.withLock(
      service,
      "a secret rm"
    )(
      Effect.gen(function* () {
        const rows = (yield* registry.secrets(service)).filter(({ ciphertext }) => ciphertext !== undefined)
        if (!rows.some((row) => row.secret === secret)) {
          return yield* new SecretNotFound({ service, secret, known: [...new Set(rows.map((row) => row.secret))] })
        }
        const uses = (yield* usesOf(service)).get(secret) ?? []
        if (uses.length > 0) {
          return yield* new SecretInUse({ service, secret, components: uses.map(({ component }) => component) })
        }
        yield* registry.removeSecret(service, secret)
      })
    )
  })

/** The newest version of each secret that components name, or the one that is pinned; what is not set is missing. */
export const wantedVersions = (
  service: string,
  components: ReadonlyArray<{ readonly name: string; readonly secrets: ReadonlyArray<string> }>,
  pinned: ReadonlyMap<string, SecretVersions> = new Map()
) =>
  Effect.gen(function* () {
    if (components.every(({ secrets }) => secrets.length === 0)) return new Map<string, SecretVersions>()
    const newest = newestOf(yield* (yield* Registry).secrets(service))
    return new Map(
      components.map(({ name, secrets }) => {
        const versions = secrets.flatMap((secret): ReadonlyArray<readonly [string, number]> => {
          const row = newest.get(secret)
          const version = pinned.get(name)?.[secret] ?? (row?.ciphertext === undefined ? undefined : row.version)
          return version === undefined ? [] : [[secret, version]]
        })
        return [name, Object.fromEntries(versions) as SecretVersions] as const
      })
    )
  })
