import { Effect, type Schema } from "effect"
import type { RpcError } from "../grpc/status.ts"
import type { NodeConfig } from "../services/Agents.ts"
import { ExitWith } from "../services/CliError.ts"
import { tame } from "./ansi.ts"
import { type CliFailure, Exit, nextStepOf } from "./errors.ts"
import { Globals } from "./Globals.ts"
import { isRefusal } from "./nodes.ts"
import { answer, errPaint, type Look, note } from "./output.ts"
import { Screen } from "./Screen.ts"
import { failAll } from "./several.ts"
import type { Cell } from "./table.ts"

/* What `list`, `ps`, `status` and `node list` have in common: many nodes, some of which may not answer. */

export type Silent = ReadonlyArray<{ readonly node: NodeConfig; readonly error: RpcError }>

export const silentWord = (error: RpcError): "refused" | "unreachable" => (isRefusal(error) ? "refused" : "unreachable")

export const silentCell = (error: RpcError): Cell => ({ text: silentWord(error), style: "red" })

/** Says on stderr why a node's row is empty. */
export const explainSilent = (silent: Silent) =>
  Effect.gen(function* () {
    const { err } = yield* Screen
    const paint = yield* errPaint
    for (const { error, node } of silent) {
      const next = nextStepOf(error)
      yield* err(`${paint("red", "mcp:")} ${node.name} did not answer: ${tame(error.detail)}\n`)
      if (next !== undefined) yield* err(`  ${paint("dim", "next:")} ${next}\n`)
    }
  })

/** Prints the overview; nodes that did not answer make exit code 4, and else `code` counts. */
export const overview = <A, I>(
  schema: Schema.Schema<A, I>,
  value: A,
  human: (look: Look) => ReadonlyArray<string>,
  silent: Silent,
  options: { readonly empty?: string | undefined; readonly exitCode?: number } = {}
) =>
  Effect.gen(function* () {
    const { json } = yield* Globals
    if (options.empty !== undefined && !json) yield* note(options.empty)
    if (options.empty === undefined || json || silent.length > 0) yield* answer(schema, value, human)
    yield* explainSilent(silent)
    const exitCode = silent.length > 0 ? Exit.unreachable : (options.exitCode ?? 0)
    if (exitCode !== 0) yield* new ExitWith({ exitCode })
  })

/** The end of a command that acts on many nodes: what failed counts most, then a node that did not answer. */
export const conclude = (silent: Silent, failures: ReadonlyArray<CliFailure>, exitCode = 0) =>
  Effect.gen(function* () {
    yield* explainSilent(silent)
    yield* failAll<CliFailure>(failures)
    const code = silent.length > 0 ? Exit.unreachable : exitCode
    if (code !== 0) yield* new ExitWith({ exitCode: code })
  })

/** `rift`, `rift and orion`, `rift, orion and vega`. */
export const names = (words: ReadonlyArray<string>): string =>
  words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`
