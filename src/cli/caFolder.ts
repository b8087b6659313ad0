import { homedir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { Globals } from "./Globals.ts"
import { configPath } from "./loadConfig.ts"

/** A path as the shell would have it, absolute: what is printed can be typed in any folder. */
export const absolute = (path: string) => resolve(path.replace(/^~(?=\/|$)/, process.env.HOME || homedir()))

export const dirOption = Options.text("dir").pipe(
  Options.withPseudoName("DIR"),
  Options.optional,
  Options.withDescription("the CA's folder; ca/ beside the config when absent")
)

/** The config itself need not be there yet: the CA comes first. */
export const caFolder = (dir: Option.Option<string>) =>
  Effect.map(Globals, ({ config }) =>
    absolute(Option.getOrElse(dir, () => join(dirname(configPath(config, process.env)), "ca")))
  )
