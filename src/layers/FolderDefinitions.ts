import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { Effect, Layer, Option } from "effect"
import { DefinitionNotSaved, DefinitionsUnreadable } from "../services/CliError.ts"
import { type DefinitionFile, Definitions } from "../services/Definitions.ts"
import { createFile, replaceFile } from "./atomicFile.ts"
import { isMissing, whyNot } from "./fileError.ts"

const SUFFIX = ".toml"

const attempt = <A>(path: string, read: () => Promise<A>) =>
  Effect.tryPromise({ try: read, catch: (error) => error }).pipe(
    Effect.mapError((error) => ({
      missing: isMissing(error),
      error: new DefinitionsUnreadable({ path, why: whyNot(error) })
    }))
  )

const open1 = (file: string) =>
  attempt(file, () => readFile(file, "utf8")).pipe(
    Effect.map((text): DefinitionFile => ({ service: basename(file, SUFFIX), file, text }))
  )

const write = (file: string, how: () => Promise<void>) =>
  Effect.tryPromise({ try: how, catch: (error) => new DefinitionNotSaved({ file, why: whyNot(error) }) })

/** Hidden, so that it is no definition; beside it, so that it is found where one looks. */
const draftOf = (dir: string, service: string) => join(dir, `.${service}.edit${SUFFIX}`)

/** `<dir>/<service>.toml`. A folder that is not there is an empty one. */
export const layer = (dir: string): Layer.Layer<Definitions> =>
  Layer.succeed(Definitions, {
    dir,
    all: attempt(dir, () => readdir(dir)).pipe(
      Effect.catchIf(
        (failure) => failure.missing,
        () => Effect.succeed<Array<string>>([])
      ),
      Effect.flatMap((names) =>
        Effect.forEach(
          names.filter((name) => name.endsWith(SUFFIX) && !name.startsWith(".")).sort(),
          (name) => open1(join(dir, name)),
          { concurrency: 16 }
        )
      ),
      Effect.mapError((failure) => failure.error)
    ),
    find: (service) =>
      open1(join(dir, `${service}${SUFFIX}`)).pipe(
        Effect.map(Option.some),
        Effect.catchAll((failure) => (failure.missing ? Effect.succeedNone : Effect.fail(failure.error)))
      ),
    open: (file) => Effect.mapError(open1(file), (failure) => failure.error),
    save: ({ file, text }) => write(file, () => replaceFile(file, text)),
    create: (service, text) => {
      const file = join(dir, `${service}${SUFFIX}`)
      const made = write(file, async () => {
        await mkdir(dir, { recursive: true })
        await createFile(file, text)
      })
      return Effect.as(made, { service, file, text })
    },
    draft: (service) => {
      const file = draftOf(dir, service)
      return {
        file,
        read: attempt(file, () => readFile(file, "utf8")).pipe(
          Effect.map(Option.some),
          Effect.catchAll((failure) => (failure.missing ? Effect.succeedNone : Effect.fail(failure.error)))
        ),
        write: (text) => write(file, () => writeFile(file, text, { mode: 0o600 })),
        discard: write(file, () => rm(file, { force: true }))
      }
    }
  })
