import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { Script } from "node:vm"

/*
 * What `mcp` on the PATH is. Help and version are answered from texts made at build time, before the program is loaded;
 * the program itself is loaded with V8's code cache, which saves compiling it. No Effect here: loading that is what takes
 * the time.
 */

const lib = join(__dirname, "lib")
const program = join(lib, "mcp.js")
const cache = join(lib, "mcp.cache")

interface Texts {
  readonly version: string
  /** By command words; the first without colours, the second with. */
  readonly help: Readonly<Record<string, readonly [plain: string, coloured: string]>>
  /** By shell. */
  readonly completions: Readonly<Record<string, string>>
}

const isHelp = (word: string | undefined) => word === "--help" || word === "-h"

/** The text that answers a line, when the line is nothing but a question for it. */
const answer = (argv: ReadonlyArray<string>): string | undefined => {
  const asksVersion = argv.length === 1 && argv[0] === "--version"
  const asksHelp = argv.length === 0 || isHelp(argv.at(-1))
  const asksCompletions = argv.length === 2 && argv[0] === "--completions"
  if (!asksVersion && !asksHelp && !asksCompletions) return undefined
  const { completions, help, version }: Texts = JSON.parse(readFileSync(join(lib, "mcp-help.json"), "utf8"))
  if (asksVersion) return `mcp ${version}\n`
  if (asksCompletions) return Object.hasOwn(completions, argv[1] ?? "") ? completions[argv[1] ?? ""] : undefined
  const words = argv.slice(0, -1).join(" ")
  const texts = Object.hasOwn(help, words) ? help[words] : undefined
  const coloured = process.stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== "dumb"
  return texts?.[coloured ? 1 : 0]
}

const cached = (): Buffer | undefined => {
  try {
    return readFileSync(cache)
  } catch {
    return undefined
  }
}

/** For the next time. Where the program was installed by somebody else it cannot be written, which only costs time. */
const keep = (script: Script) => {
  const draft = `${cache}.${process.pid}.tmp`
  try {
    writeFileSync(draft, script.createCachedData())
    renameSync(draft, cache)
  } catch {
    rmSync(draft, { force: true })
  }
}

const load = () => {
  // The bundle is ASCII, and as such half as much to read.
  const source = readFileSync(program, "latin1")
  const cachedData = cached()
  const script = new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
    filename: program,
    ...(cachedData === undefined ? {} : { cachedData })
  })
  // Made once the program has run: then it holds the functions that a run compiles.
  if (cachedData === undefined || script.cachedDataRejected) process.once("exit", () => keep(script))
  const module = { exports: {} }
  // As if it lay where it always did, beside its native parts.
  script.runInThisContext()(module.exports, createRequire(program), module, program, __dirname)
}

const text = answer(process.argv.slice(2))
if (text === undefined) load()
else {
  // A reader that has gone away is no error.
  process.stdout.on("error", () => undefined)
  process.stdout.write(text)
}
