import { Command, HelpDoc, ValidationError } from "@effect/cli"
import { Cause, Effect, Either, Exit, type Layer, Option } from "effect"
import { nearest } from "../domain/nearest.ts"
import type { Agents } from "../services/Agents.ts"
import { UsageError } from "../services/CliError.ts"
import type { ConfigFile } from "../services/ConfigFile.ts"
import type { Definitions } from "../services/Definitions.ts"
import type { Editor } from "../services/Editor.ts"
import type { Mcias } from "../services/Mcias.ts"
import type { TokenStore } from "../services/TokenStore.ts"
import { painter, strip, tame } from "./ansi.ts"
import { globalNames, type Normalised, normalise } from "./argv.ts"
import { type CliFailure, Exit as Code, type Report, report } from "./errors.ts"
import { defaults, type GlobalOptions, Globals } from "./Globals.ts"
import { commandHelp, groupHelp, rootHelp } from "./help.ts"
import { bare, needNoConfig, paths, root, takesRest } from "./root.ts"
import { BrokenPipe, Screen } from "./Screen.ts"
import type { Settings } from "./Settings.ts"
import { Several } from "./several.ts"

/** What commands are made of; built only when one really runs, so that `--help` works without a config. */
export type CliServices = Agents | ConfigFile | Definitions | Editor | Mcias | Settings | TokenStore

export interface RunOptions<R> {
  readonly version: string
  readonly services: (globals: GlobalOptions) => Layer.Layer<CliServices, CliFailure, R>
  /** Show the causes of internal errors. */
  readonly debug: boolean
  /** Whether the environment allows colours. */
  readonly colour: boolean
}

const usage = (problem: string, nextStep = "mcp --help") => Effect.fail(new UsageError({ problem, nextStep }))
const meant = (word: string, candidates: Iterable<string>) => {
  const near = nearest(word, candidates)
  return near === undefined ? "" : `; did you mean ${near}?`
}

/** The command words of a line: all that is right about it so far. */
const commandOf = (args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const [first = "", second] = args
    if (first.startsWith("-")) return yield* usage(`unknown option ${first}${meant(first, globalNames)}`)
    const group = paths.get(first)
    if (group === undefined) return yield* usage(`unknown command ${first}${meant(first, paths.keys())}`)
    if (group.length === 0) return [first]
    if (second === undefined) return yield* usage(`${first} needs one of: ${group.join(", ")}`, `mcp ${first} --help`)
    if (!group.includes(second))
      return yield* usage(`unknown command ${first} ${second}${meant(second, group)}`, `mcp ${first} --help`)
    return [first, second]
  })

/** What @effect/cli complains of, in one line and in our words. */
const oneLine = (doc: HelpDoc.HelpDoc) => {
  const text = strip(HelpDoc.toAnsiText(doc)).replace(/\s+/g, " ").trim()
  const [, word] = /^Received unknown argument: '(.*)'$/.exec(text) ?? []
  if (word === undefined) return text.charAt(0).toLowerCase() + text.slice(1)
  return word.startsWith("-") ? `unknown option ${word}` : `unexpected argument ${word}`
}

const printReport = (r: Report) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const { colour } = yield* Globals
    const paint = painter(colour && screen.errIsTty)
    const lines = [
      ...(r.before ?? []).map(tame),
      ...(r.line === undefined ? [] : [`${paint("red", "mcp:")} ${r.line}`]),
      ...(r.below ?? []).map((line) => `  ${line}`),
      ...(r.next === undefined ? [] : [`  ${paint("dim", "next:")} ${r.next}`])
    ]
    if (lines.length > 0) yield* screen.err(`${lines.join("\n")}\n`)
    return r.exitCode
  })

const printFailure = (error: CliFailure | Several | ValidationError.ValidationError, command: string) =>
  Effect.gen(function* () {
    if (ValidationError.isValidationError(error)) {
      return yield* printReport(report(new UsageError({ problem: oneLine(error.error) }), command))
    }
    if (!(error instanceof Several)) return yield* printReport(report(error, command))
    const codes = yield* Effect.forEach(error.failures, (failure) => printReport(report(failure, command)))
    return codes.every((code) => code === codes[0]) ? (codes[0] ?? Code.failed) : Code.failed
  })

const printDefect = (cause: Cause.Cause<unknown>, debug: boolean) =>
  printReport({
    exitCode: Code.failed,
    line: `internal error: ${tame(String(Cause.squash(cause)))}`,
    ...(debug ? { below: Cause.pretty(cause).split("\n") } : {}),
    next: debug ? undefined : "run it again with MCP_DEBUG=1 and report what it prints"
  })

const brokenPipe = (cause: Cause.Cause<unknown>) =>
  [...Cause.defects(cause)].some((defect) => defect instanceof BrokenPipe)

const execute = <R>({ args, builtIn, globals }: Normalised, options: RunOptions<R>) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (builtIn === "version") return yield* screen.out(`mcp ${options.version}\n`)
    if (typeof builtIn === "object") {
      // Made of the help of all commands, which no other line needs.
      const { completions } = yield* Effect.promise(() => import("./completions.ts"))
      return yield* screen.out(completions(builtIn.completions))
    }
    if (args.length === 0) {
      return yield* screen.out(rootHelp(painter(globals.colour && screen.outIsTty), options.version))
    }
    const [first = ""] = args
    if (builtIn === "help" && args.length === 1 && paths.get(first)?.length) return yield* screen.out(groupHelp(first))
    const command = yield* commandOf(args)
    // What else is on the line is no matter to the help, and may be wrong.
    if (builtIn === "help") {
      return yield* screen.out(commandHelp(command, painter(globals.colour && screen.outIsTty)))
    }
    if (globals.rest !== undefined && !takesRest.has(first)) {
      return yield* usage(`mcp ${command.join(" ")} takes nothing after --`, `mcp ${command.join(" ")} --help`)
    }
    const about = { name: "mcp", version: options.version, executable: "mcp" }
    const run = needNoConfig.has(first)
      ? Command.run(bare, about)
      : root.pipe(Command.provide(options.services(globals)), Command.run(about))
    // It prints its errors itself, in blocks and colours; ours are the same for all.
    yield* Effect.flatMap(Effect.console, (console) =>
      Effect.withConsole(run(["node", "mcp", ...args]), { ...console, error: () => Effect.void })
    )
  })

/** Runs one command line and says with which code to exit. An interruption stays one. */
export const runCli = <R>(argv: ReadonlyArray<string>, options: RunOptions<R>) =>
  Effect.gen(function* () {
    const normalised = Either.map(normalise(argv), (n) => ({
      ...n,
      globals: { ...n.globals, colour: n.globals.colour && options.colour }
    }))
    const globals = Either.match(normalised, { onLeft: () => defaults, onRight: (n) => n.globals })
    const words = Either.match(normalised, { onLeft: () => [], onRight: (n) => n.args })
    const [first = "", second = ""] = words
    const command = paths.has(first) ? ((paths.get(first) ?? []).includes(second) ? `${first} ${second}` : first) : ""
    const exit = yield* Effect.exit(Effect.flatMap(normalised, (n) => execute(n, options))).pipe(
      Effect.provideService(Globals, globals)
    )
    if (Exit.isSuccess(exit)) return 0
    if (brokenPipe(exit.cause)) return 0
    if (Cause.isInterruptedOnly(exit.cause)) return yield* Effect.interrupt
    const failure = Cause.failureOption(exit.cause)
    const said = Option.isSome(failure) ? printFailure(failure.value, command) : printDefect(exit.cause, options.debug)
    return yield* Effect.provideService(said, Globals, globals)
  })
