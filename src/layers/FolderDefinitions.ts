import { open, readdir, readFile, realpath, rename, rm, stat } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { Effect, Layer, Option } from "effect"
import { DefinitionNotSaved, DefinitionsUnreadable } from "../services/CliError.ts"
import { type DefinitionFile, Definitions } from "../services/Definitions.ts"
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

/** Writes beside the file and renames; a link stays a link, and the mode stays. */
const replace = async (file: string, text: string) => {
  const target = await realpath(file)
  const { mode } = await stat(target)
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`)
  try {
    const handle = await open(temporary, "wx", mode & 0o777)
    try {
      await handle.chmod(mode & 0o777)
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

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
    save: ({ file, text }) =>
      Effect.tryPromise({
        try: () => replace(file, text),
        catch: (error) => new DefinitionNotSaved({ file, why: whyNot(error) })
      })
  })
