/** Where something stands; line and column count from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

interface Common {
  readonly place: Place
  /** The folder that relative paths in it start at. */
  readonly base: string
  /** What an override file says of it. */
  readonly tag: "!reset" | "!override" | undefined
}

export interface ScalarNode extends Common {
  readonly kind: "scalar"
  readonly text: string
  readonly type: "text" | "number" | "boolean" | "null"
}

export interface SeqNode extends Common {
  readonly kind: "seq"
  readonly items: ReadonlyArray<Node>
}

export interface Entry {
  readonly key: string
  readonly place: Place
  readonly value: Node
}

export interface MapNode extends Common {
  readonly kind: "map"
  readonly entries: ReadonlyMap<string, Entry>
}

/** A part of a compose file, with anchors and merge keys carried out. */
export type Node = ScalarNode | SeqNode | MapNode

export const isNull = (node: Node): boolean => node.kind === "scalar" && node.type === "null"

export const childOf = (node: Node | undefined, key: string): Node | undefined =>
  node?.kind === "map" ? node.entries.get(key)?.value : undefined

export const mapOf = (entries: Iterable<Entry>, like: Node): MapNode => ({
  kind: "map",
  entries: new Map([...entries].map((entry) => [entry.key, entry])),
  ...{ place: like.place, base: like.base, tag: undefined }
})

export const seqOf = (items: ReadonlyArray<Node>, like: Node): SeqNode => ({
  ...{ kind: "seq", items, place: like.place, base: like.base, tag: undefined }
})

export const textOf = (text: string, like: Node): ScalarNode => ({
  ...{ kind: "scalar", type: "text", text, place: like.place, base: like.base, tag: undefined }
})

export const nullOf = (like: Node): ScalarNode => ({ ...textOf("", like), type: "null" })

/** A list, also where a lone one may stand without brackets. */
export const listOf = (node: Node): ReadonlyArray<Node> =>
  node.kind === "seq" ? node.items : isNull(node) ? [] : [node]
