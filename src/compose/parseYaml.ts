import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument, type Scalar } from "yaml"
import type { Entry, MapNode, Node, Place, ScalarNode } from "./Node.ts"
import type { Report } from "./Report.ts"

/** No compose file is as large; a parser that is given anything must end soon. */
const mostBytes = 1024 ** 2
/** Aliases of aliases would make a terabyte of a few lines. */
const mostNodes = 50_000
/** What follows from the first ones helps nobody. */
const mostErrors = 20

class Stop extends Error {
  readonly offset: number
  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

/** How compose, which is written in Go, prints a number that stands without quotes. */
const numberText = (source: string): string => {
  const plain = source.replaceAll("_", "")
  const [, sign = "", digits = ""] = /^([-+]?)(.*)$/.exec(plain) ?? []
  const minus = sign === "-" ? "-" : ""
  if (/^0[0-7]+$/.test(digits)) return `${minus}${BigInt(`0o${digits.slice(1)}`)}`
  if (/^0[xob]/i.test(digits)) return `${minus}${BigInt(digits)}`
  if (/^\d+$/.test(digits)) return `${minus}${BigInt(digits)}`
  return String(Number(plain))
}

const numeric =
  /^[-+]?(0[xX][0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?)$/

const plainScalar = (source: string): Pick<ScalarNode, "text" | "type"> => {
  if (/^(~|null|Null|NULL|)$/.test(source)) return { type: "null", text: "" }
  if (/^(true|True|TRUE|false|False|FALSE)$/.test(source)) return { type: "boolean", text: source.toLowerCase() }
  if (numeric.test(source) && Number.isFinite(Number(source.replaceAll("_", "").replace(/^[-+]/, ""))))
    return { type: "number", text: numberText(source) }
  return { type: "text", text: source }
}

const tagOf = (node: ParsedNode, offset: number): Node["tag"] => {
  const { tag } = node as { readonly tag?: string }
  if (tag === undefined || /^tag:yaml.org,2002:(str|int|float|bool|null|map|seq)$/.test(tag)) return undefined
  if (tag === "!reset" || tag === "!override") return tag
  throw new Stop(offset, `the tag ${tag} means nothing in a compose file`)
}

const scalarOf = (node: Scalar.Parsed): Pick<ScalarNode, "text" | "type"> =>
  node.type === "PLAIN" && node.tag !== "tag:yaml.org,2002:str"
    ? plainScalar(node.source)
    : { type: "text", text: String(node.value ?? node.source) }

/** Builds the tree: aliases share what they name, and merge keys are carried out. */
const build = (root: ParsedNode, base: string, placeOf: (offset: number) => Place): Node => {
  const anchors = new Map<string, { readonly node: Node; readonly weight: number } | undefined>()

  const visit = (node: ParsedNode): { readonly node: Node; readonly weight: number } => {
    const [offset] = node.range
    if (isAlias(node)) {
      if (!anchors.has(node.source)) throw new Stop(offset, `there is no anchor &${node.source} above`)
      const found = anchors.get(node.source)
      if (found === undefined) throw new Stop(offset, `*${node.source} stands within itself`)
      return found
    }
    const anchor = node.anchor
    if (anchor !== undefined) anchors.set(anchor, undefined)
    const common = { place: placeOf(offset), base, tag: tagOf(node, offset) }
    const made = isScalar(node)
      ? { node: { kind: "scalar" as const, ...scalarOf(node), ...common }, weight: 1 }
      : isSeq(node)
        ? seq(node.items as ReadonlyArray<ParsedNode>, common)
        : isMap(node)
          ? map(node, common)
          : { node: { kind: "scalar" as const, type: "null" as const, text: "", ...common }, weight: 1 }
    if (made.weight > mostNodes) throw new Stop(offset, `it would be more than ${mostNodes} values, with its aliases`)
    if (anchor !== undefined) anchors.set(anchor, made)
    return made
  }

  const seq = (items: ReadonlyArray<ParsedNode>, common: Omit<MapNode, "kind" | "entries">) => {
    const made = items.map(visit)
    const weight = made.reduce((sum, item) => sum + item.weight, 1)
    return { node: { kind: "seq" as const, items: made.map((item) => item.node), ...common }, weight }
  }

  const map = (
    node: ParsedNode & { readonly items: ReadonlyArray<unknown> },
    common: Omit<MapNode, "kind" | "entries">
  ) => {
    const entries = new Map<string, Entry>()
    const merged: Array<Node> = []
    let weight = 1
    for (const pair of node.items as ReadonlyArray<{ readonly key: ParsedNode; readonly value: ParsedNode | null }>) {
      if (!isScalar(pair.key)) throw new Stop(pair.key?.range?.[0] ?? node.range[0], "a key must be a text")
      const key = pair.key.type === "PLAIN" ? pair.key.source : String(pair.key.value)
      const place = placeOf(pair.key.range[0])
      const value =
        pair.value === null || pair.value === undefined
          ? {
              node: { kind: "scalar" as const, type: "null" as const, text: "", ...common, tag: undefined, place },
              weight: 1
            }
          : visit(pair.value)
      weight += value.weight
      if (key === "<<" && pair.key.type === "PLAIN") {
        const from = value.node.kind === "seq" ? value.node.items : [value.node]
        if (from.some(({ kind }) => kind !== "map"))
          throw new Stop(pair.key.range[0], "<< takes a map, or a list of maps")
        merged.push(...from)
        continue
      }
      const first = entries.get(key)
      if (first) throw new Stop(pair.key.range[0], `${key} stands here twice; the first is on line ${first.place.line}`)
      entries.set(key, { key, place, value: value.node })
    }
    // Its own keys win, and of the merged the first that has one.
    for (const from of merged) {
      if (from.kind !== "map") continue
      for (const [key, entry] of from.entries) if (!entries.has(key)) entries.set(key, entry)
    }
    return { node: { kind: "map" as const, entries, ...common }, weight }
  }

  return visit(root).node
}

/** Reads a text, whatever it holds; undefined when it is no YAML, which the report tells. */
export const parseYaml = (file: string, base: string, text: string, report: Report): Node | undefined => {
  const lines = new LineCounter()
  const placeOf = (offset: number): Place => {
    const { col, line } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const start = { file, line: 1, column: 1 }
  if (Buffer.byteLength(text) > mostBytes) {
    report.wrong(start, "", "larger than 1 MiB, which no compose file is")
    return undefined
  }
  try {
    // Of duplicates it would look at each pair; the tree is where they show at once.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false })
    for (const { message, pos } of document.errors.slice(0, mostErrors)) {
      const why = message.startsWith("Maximum call stack") ? "nested too deeply" : message
      report.wrong(placeOf(pos[0]), "", `not YAML: ${why}`)
    }
    if (document.errors.length > 0) return undefined
    if (document.contents === null) {
      report.wrong(start, "", "is empty")
      return undefined
    }
    return build(document.contents, base, placeOf)
  } catch (error) {
    if (error instanceof Stop) report.wrong(placeOf(error.offset), "", error.message)
    else if (error instanceof RangeError) report.wrong(start, "", "not YAML: nested too deeply")
    else throw error
    return undefined
  }
}
