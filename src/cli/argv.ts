import { Either, Schema } from "effect"
import { DurationMillis } from "../domain/Scalars.ts"
import { UsageError } from "../services/CliError.ts"
import { defaults, type GlobalOptions } from "./Globals.ts"
import { type Shell, shells } from "./shells.ts"

/*
 * @effect/cli reads a parent's options only before the subcommand, looks for --help and --version behind `--` too, and
 * splits the line at a value that equals a command's name. So global options are taken out first, from anywhere.
 */

export type BuiltIn = "help" | "version" | { readonly completions: Shell }

export interface Normalised {
  readonly globals: GlobalOptions
  /** The command and what is its own. */
  readonly args: ReadonlyArray<string>
  readonly builtIn: BuiltIn | undefined
}

const flags: Readonly<Record<string, (g: GlobalOptions) => GlobalOptions>> = {
  "--json": (g) => ({ ...g, json: true }),
  "--no-color": (g) => ({ ...g, colour: false }),
  "--quiet": (g) => ({ ...g, quiet: true }),
  "-q": (g) => ({ ...g, quiet: true })
}

const parseTimeout = Schema.decodeUnknownEither(DurationMillis)

type Set = (g: GlobalOptions, value: string) => Either.Either<GlobalOptions, UsageError>

const valued: Readonly<Record<string, Set>> = {
  "--config": (g, config) => Either.right({ ...g, config }),
  "--timeout": (g, value) =>
    Either.mapBoth(parseTimeout(value), {
      onRight: (timeout) => ({ ...g, timeout }),
      onLeft: () => new UsageError({ problem: `--timeout ${value}: expected a duration such as "30s" or "2m"` })
    })
}

const builtIns: Readonly<Record<string, "help" | "version">> = {
  "--help": "help",
  "-h": "help",
  "--version": "version"
}

const COMPLETIONS = "--completions"
const isShell = Schema.is(Schema.Literal(...shells))

export const globalNames = [...Object.keys(flags), ...Object.keys(valued), ...Object.keys(builtIns), COMPLETIONS]

/** Separates global options, what follows `--`, and the rest. */
export const normalise = (argv: ReadonlyArray<string>): Either.Either<Normalised, UsageError> => {
  const cut = argv.indexOf("--")
  const before = cut < 0 ? argv : argv.slice(0, cut)
  let globals: GlobalOptions = { ...defaults, rest: cut < 0 ? undefined : argv.slice(cut + 1) }
  let builtIn: Normalised["builtIn"]
  const args: Array<string> = []
  for (let i = 0; i < before.length; i++) {
    const word = before[i] ?? ""
    const equals = word.startsWith("--") ? word.indexOf("=") : -1
    const name = equals < 0 ? word : word.slice(0, equals)
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined
    const set = Object.hasOwn(valued, name) ? valued[name] : undefined
    const found = Object.hasOwn(builtIns, name) ? builtIns[name] : undefined
    if ((flag ?? found) !== undefined && equals >= 0) {
      return Either.left(new UsageError({ problem: `${name} takes no value` }))
    }
    if (flag !== undefined) {
      globals = flag(globals)
    } else if (found !== undefined) {
      builtIn ??= found
    } else if (name === COMPLETIONS) {
      const shell = equals < 0 ? before[++i] : word.slice(equals + 1)
      if (!isShell(shell)) {
        return Either.left(new UsageError({ problem: `${name} ${shell ?? ""}: expected ${shells.join(", ")}` }))
      }
      builtIn ??= { completions: shell }
    } else if (set !== undefined) {
      const value = equals < 0 ? before[++i] : word.slice(equals + 1)
      if (value === undefined || value === "" || (equals < 0 && value.startsWith("-"))) {
        return Either.left(new UsageError({ problem: `${name} needs a value` }))
      }
      const next = set(globals, value)
      if (Either.isLeft(next)) return Either.left(next.left)
      globals = next.right
    } else {
      args.push(word)
    }
  }
  return Either.right({ globals, args, builtIn })
}
