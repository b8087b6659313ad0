import { readFile } from "node:fs/promises"
import { Effect, Layer } from "effect"
import { ConfigNotSaved } from "../services/CliError.ts"
import { ConfigFile } from "../services/ConfigFile.ts"
import { replaceFile } from "./atomicFile.ts"
import { whyNot } from "./fileError.ts"

/** A file that stays the file that it is: a link stays a link, and the mode stays. */
export const layer = (file: string): Layer.Layer<ConfigFile> => {
  const attempt = <A>(act: () => Promise<A>) =>
    Effect.tryPromise({ try: act, catch: (error) => new ConfigNotSaved({ path: file, why: whyNot(error) }) })
  return Layer.succeed(ConfigFile, {
    file,
    read: attempt(() => readFile(file, "utf8")),
    save: (text) => attempt(() => replaceFile(file, text))
  })
}
