import { Effect, Option, type Redacted } from "effect"
import { Labels } from "../domain/Names.ts"
import type { SecretVersions } from "../domain/Secret.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, Registry } from "../services/Registry.ts"
import { type Generation, SecretFiles } from "../services/SecretFiles.ts"
import { SecretKey } from "../services/SecretKey.ts"
import { SecretMissing } from "./ProgramError.ts"

/** The value of one version, as a component needs it. */
const valueOf = (service: string, component: string, secret: string, version: number | undefined) =>
  Effect.gen(function* () {
    const rows = yield* (yield* Registry).secrets(service)
    const row = rows.find((each) => each.secret === secret && each.version === version)
    if (row?.ciphertext !== undefined) return yield* (yield* SecretKey).unseal(row, row.ciphertext)
    return yield* new SecretMissing({ service, component, secret, ...(version === undefined ? {} : { version }) })
  })

const valuesOf = (
  { component, service }: Pick<Generation, "service" | "component">,
  wanted: Iterable<readonly [secret: string, version: number]>
) =>
  Effect.gen(function* () {
    const values = new Map<string, Redacted.Redacted<Uint8Array>>()
    for (const [secret, version] of wanted) {
      values.set(secret, yield* valueOf(service, component, secret, version))
    }
    return values
  })

/** The files of a container that is about to be made, instead of any that a number used before had. */
export const writeSecrets = (of: Generation, versions: SecretVersions) =>
  Effect.gen(function* () {
    const wanted = Object.entries(versions)
    if (wanted.length === 0) return
    yield* (yield* SecretFiles).write(of, yield* valuesOf(of, wanted), true)
  })

/** The files of a container that is there: those that a reboot has taken are written again. */
export const restoreSecrets = ({
  component,
  generation,
  secrets,
  service
}: Pick<ComponentRow, "service" | "component" | "generation" | "secrets">) =>
  Effect.gen(function* () {
    const files = yield* SecretFiles
    const of = { service, component, generation }
    const missing = yield* Effect.filter(Object.entries(secrets), ([secret]) =>
      Effect.map(files.read(of, secret), Option.isNone)
    )
    if (missing.length > 0) yield* files.write(of, yield* valuesOf(of, missing), false)
  })

interface Found {
  readonly component: string
  readonly error: Effect.Effect.Error<ReturnType<typeof valueOf>> | Effect.Effect.Error<SecretFiles["Type"]["check"]>
}

/** All that keeps components from having their secrets; what is wrong with the key or the folder is told once. */
export const secretsInTheWay = (
  service: string,
  components: ReadonlyArray<{ readonly name: string; readonly secrets: ReadonlyArray<string> }>,
  wanted: ReadonlyMap<string, SecretVersions>,
  active: boolean
) =>
  Effect.gen(function* () {
    const found: Array<Found> = []
    const tell = (component: string, error: Found["error"]) => {
      if (!found.some((each) => each.error.message === error.message)) found.push({ component, error })
    }
    for (const { name, secrets } of components) {
      for (const secret of secrets) {
        const value = yield* Effect.either(valueOf(service, name, secret, wanted.get(name)?.[secret]))
        if (value._tag === "Left") tell(value.left._tag === "SecretKeyUnusable" ? "" : name, value.left)
      }
    }
    if (active && components.some(({ secrets }) => secrets.length > 0)) {
      const checked = yield* Effect.either((yield* SecretFiles).check)
      if (checked._tag === "Left") tell("", checked.left)
    }
    return found
  })

/** Removes the files of generations of which there is no container, whoever made it. */
export const sweepSecrets = (service: string, rows: ReadonlyArray<ComponentRow>) =>
  Effect.gen(function* () {
    const files = yield* SecretFiles
    const generations = yield* files.generations(service)
    if (generations.length === 0) return
    const inUse = new Set<string>()
    for (const { id, labels } of yield* (yield* ContainerRuntime).list) {
      if (labels[Labels.service] === service) inUse.add(`${labels[Labels.component]} ${labels[Labels.generation]}`)
      for (const row of rows) if (row.containerId === id) inUse.add(`${row.component} ${row.generation}`)
    }
    const unused = generations.filter(({ component, generation }) => !inUse.has(`${component} ${generation}`))
    for (const of of unused) {
      yield* Effect.catchAll(files.remove(of), (error) =>
        Effect.logWarning("files of secrets are not removed yet").pipe(
          Effect.annotateLogs({ service, component: of.component, why: error.message })
        )
      )
    }
  })
