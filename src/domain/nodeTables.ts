import { isDeepStrictEqual } from "node:util"
import { Either } from "effect"
import { stringify } from "smol-toml"
import type { AST } from "toml-eslint-parser"
import { formatProblem, parse, type TomlDocument } from "./Toml.ts"

/** A node as the CLI's config has it. */
export interface NodeTable {
  readonly name: string
  readonly addresses: readonly [string, ...Array<string>]
  readonly caCert: string | undefined
  readonly arch: string | undefined
}

const valueOf = ({ addresses, arch, caCert, name }: NodeTable): Record<string, unknown> => ({
  name,
  ...(addresses.length === 1 ? { address: addresses[0] } : { addresses }),
  ...(caCert === undefined ? {} : { ca_cert: caCert }),
  ...(arch === undefined ? {} : { arch })
})

const nodesOf = ({ value }: TomlDocument): ReadonlyArray<Record<string, unknown>> =>
  Array.isArray(value.nodes) ? value.nodes : []

const byHand = "its [[nodes]] are written in a way that can only be edited by hand"

/** What is written is read again first: where it would say anything else, there is a reason instead of a text. */
const verified = (file: string, result: string, expected: unknown): Either.Either<string, string> => {
  const reread = parse(file, result)
  return Either.isRight(reread) && isDeepStrictEqual(reread.right.value, expected)
    ? Either.right(result)
    : Either.left(byHand)
}

/** The config with one more node at its end, and every other character as it was. */
export const withNode = (file: string, text: string, node: NodeTable): Either.Either<string, string> =>
  Either.flatMap(Either.mapLeft(parse(file, text), formatProblem), (document) => {
    const gap = text === "" ? "" : text.endsWith("\n") ? "\n" : "\n\n"
    const value = valueOf(node)
    return verified(file, `${text}${gap}[[nodes]]\n${stringify(value).trim()}\n`, {
      ...document.value,
      nodes: [...nodesOf(document), value]
    })
  })

const isNodes = (table: AST.TOMLTable) =>
  table.kind === "array" && table.resolvedKey.length === 2 && table.resolvedKey[0] === "nodes"

/** From the line of the header, with the comments right above it, to the end of the last line of the table. */
const extent = (text: string, table: AST.TOMLTable): readonly [number, number] => {
  let from = text.lastIndexOf("\n", table.range[0] - 1) + 1
  for (;;) {
    const above = text.lastIndexOf("\n", from - 2) + 1
    if (from === 0 || !/^[ \t]*#/.test(text.slice(above, from))) break
    from = above
  }
  const end = text.indexOf("\n", table.range[1])
  const to = end < 0 ? text.length : end + 1
  // One of the blank lines around it goes with it.
  return [from, text[to] === "\n" ? to + 1 : to]
}

/** The config without a node, and every other character as it was; undefined when it has no such node. */
export const withoutNode = (file: string, text: string, name: string): Either.Either<string | undefined, string> =>
  Either.flatMap(Either.mapLeft(parse(file, text), formatProblem), (document) => {
    const nodes = nodesOf(document)
    const index = nodes.findIndex((node) => node.name === name)
    if (index < 0) return Either.right(undefined)
    const table = document.ast.body[0].body.filter((item) => item.type === "TOMLTable").filter(isNodes)[index]
    const rest = nodes.filter((_, i) => i !== index)
    const { nodes: _, ...others } = document.value
    const expected = rest.length === 0 ? others : { ...document.value, nodes: rest }
    if (table === undefined) return Either.left(byHand)
    const [from, to] = extent(text, table)
    return verified(file, `${text.slice(0, from)}${text.slice(to)}`, expected)
  })
