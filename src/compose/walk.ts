import { nearest } from "../domain/nearest.ts"
import { type Entry, isNull, type MapNode, type Node, type ScalarNode } from "./Node.ts"
import type { Report } from "./Report.ts"

/** What becomes of a key. Whatever a table has no entry for is listed, so that no key is dropped in silence. */
export type Handler = (entry: Entry, key: string) => void
/** A text says why the key is left out, and what instead. */
export type Table = Readonly<Record<string, Handler | string>>

export const keyOf = (path: string, key: string): string => {
  const shown = /^[\w-]+$/.test(key) ? key : JSON.stringify(key)
  return path === "" ? shown : `${path}.${shown}`
}

const isMap = (node: Node): node is MapNode => node.kind === "map"

const what = (node: Node) =>
  node.kind === "map" ? "a map" : node.kind === "seq" ? "a list" : isNull(node) ? "nothing" : `a ${node.type}`

export const expected = (report: Report, node: Node, key: string, form: string): void =>
  report.wrong(node.place, key, `expected ${form}, found ${what(node)}`)

/** Goes through the keys that a user chose, such as services and variables. */
export const each = (report: Report, node: Node, path: string, visit: Handler) => {
  if (isNull(node)) return
  if (!isMap(node)) return expected(report, node, path, "a map")
  for (const entry of node.entries.values()) {
    report.visit(entry)
    visit(entry, keyOf(path, entry.key))
  }
}

export const eachItem = <A>(items: ReadonlyArray<A>, visit: (item: A, index: number) => void) => {
  for (const [i, item] of items.entries()) visit(item, i)
}

/** Goes through the keys that compose knows, in the table's order: one key may need what another has said. */
export const walk = (report: Report, node: Node, path: string, table: Table) => {
  if (isNull(node)) return
  if (!isMap(node)) return expected(report, node, path, "a map")
  const names = Object.keys(table)
  const rank = (key: string) => (Object.hasOwn(table, key) ? names.indexOf(key) : names.length)
  for (const entry of [...node.entries.values()].sort((a, b) => rank(a.key) - rank(b.key))) {
    report.visit(entry)
    const key = keyOf(path, entry.key)
    const handler = Object.hasOwn(table, entry.key) ? table[entry.key] : undefined
    if (typeof handler === "function") handler(entry, key)
    else if (entry.key.startsWith("x-")) report.leftOut(entry.place, key, "an extension, which only others read")
    else if (handler !== undefined) report.leftOut(entry.place, key, handler)
    else {
      const near = nearest(entry.key, names)
      const meant = near === undefined ? "" : `; did you mean ${near}?`
      report.leftOut(entry.place, key, `no key that MCP knows from compose${meant}`)
    }
  }
}

/** A lone value as text; a problem when it is none. */
export const scalar = (report: Report, node: Node, key: string, form = "a text"): ScalarNode | undefined => {
  if (node.kind === "scalar" && !isNull(node)) return node
  expected(report, node, key, form)
  return undefined
}

export const boolean = (report: Report, node: Node, key: string): boolean | undefined => {
  const found = scalar(report, node, key, "true or false")
  if (found === undefined) return undefined
  if (/^(true|1|yes|on|y|t)$/i.test(found.text)) return true
  if (/^(false|0|no|off|n|f)$/i.test(found.text)) return false
  expected(report, node, key, "true or false")
  return undefined
}

const durationUnits: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 36e5 }

/** A duration of compose's, in milliseconds. */
export const duration = (report: Report, node: Node, key: string): number | undefined => {
  const form = 'a duration such as "90s" or "1m30s"'
  const found = scalar(report, node, key, form)
  if (found === undefined) return undefined
  if (found.text === "0") return 0
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(found.text)) {
    expected(report, node, key, form)
    return undefined
  }
  let total = 0
  for (const [, amount, unit = ""] of found.text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(amount) * (durationUnits[unit] ?? 0)
  return Math.round(total)
}

export const number = (report: Report, node: Node, key: string): number | undefined => {
  const found = scalar(report, node, key, "a number")
  if (found === undefined) return undefined
  if (/^\d+(\.\d+)?$/.test(found.text)) return Number(found.text)
  expected(report, node, key, "a number")
  return undefined
}

/** Texts of a list; what is none is a problem. */
export const texts = (report: Report, items: ReadonlyArray<Node>, key: string): ReadonlyArray<ScalarNode> =>
  items.flatMap((item, i) => scalar(report, item, `${key}[${i}]`) ?? [])

/** `external: true`, or as older files have it `external: { name: ... }`. */
export const external =
  (report: Report): Handler =>
  ({ value }, key) => {
    if (value.kind === "map") walk(report, value, key, { name: () => undefined })
    else boolean(report, value, key)
  }
