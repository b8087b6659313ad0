import { childOf, type Entry, isNull, listOf, type MapNode, mapOf, type Node, nullOf, seqOf, textOf } from "./Node.ts"

/* How compose lays one file over another, or a service over the one that it extends. Nodes keep the place they are from. */

const replaced = new Set(["command", "entrypoint", "healthcheck.test"])
const appended = new Set(["env_file", "dns", "dns_search", "tmpfs", "label_file", "profiles"])
const pairs = new Set([
  "environment",
  "labels",
  "annotations",
  "sysctls",
  "build.args",
  "build.labels",
  "deploy.labels"
])
const nameMaps = new Set(["depends_on", "networks"])

/** `K=V` entries and a map of them are the same to compose. */
const asPairs = (node: Node): Node =>
  node.kind !== "seq"
    ? node
    : mapOf(
        node.items.map((item): Entry => {
          const text = item.kind === "scalar" ? item.text : ""
          const equals = text.indexOf("=")
          return equals < 0
            ? { key: text, place: item.place, value: nullOf(item) }
            : { key: text.slice(0, equals), place: item.place, value: textOf(text.slice(equals + 1), item) }
        }),
        node
      )

const asNames = (node: Node): Node =>
  node.kind !== "seq"
    ? node
    : mapOf(
        node.items.map((item): Entry => {
          const key = item.kind === "scalar" ? item.text : ""
          return { key, place: item.place, value: nullOf(item) }
        }),
        node
      )

const volumeTarget = (text: string) => {
  const parts = text.split(":")
  return parts[1] ?? parts[0] ?? ""
}

/** By what two entries of such a list are the same one. */
const identity: Readonly<Record<string, (item: Node) => string>> = {
  volumes: (item) => {
    const target = childOf(item, "target")
    return item.kind === "scalar" ? volumeTarget(item.text) : target?.kind === "scalar" ? target.text : ""
  },
  ports: (item) => {
    if (item.kind === "scalar") return item.text
    const parts = ["host_ip", "published", "target", "protocol"].map((key) => childOf(item, key))
    return JSON.stringify(parts.map((part) => (part?.kind === "scalar" ? part.text : "")))
  },
  secrets: (item) => mounted(item),
  configs: (item) => mounted(item)
}

const mounted = (item: Node) => {
  if (item.kind === "scalar") return item.text
  const at = childOf(item, "target") ?? childOf(item, "source")
  return at?.kind === "scalar" ? at.text : ""
}

const appendUnique = (base: Node, over: Node, of: (item: Node) => string): Node => {
  const byKey = new Map([...listOf(base), ...listOf(over)].map((item) => [of(item), item]))
  return seqOf([...byKey.values()], over)
}

const same = (a: Node, b: Node) => a.kind === "scalar" && b.kind === "scalar" && a.text === b.text

/** `path` is below a service, as in `deploy.labels`. */
const mergeValue = (base: Node, over: Node, path: string): Node => {
  if (over.tag === "!override" || isNull(base)) return over
  if (isNull(over)) return base
  const unique = Object.hasOwn(identity, path) ? identity[path] : undefined
  if (replaced.has(path)) return over
  if (unique) return appendUnique(base, over, unique)
  const alike = pairs.has(path) ? asPairs : nameMaps.has(path) ? asNames : (node: Node) => node
  if (path === "build" && base.kind !== over.kind) return mergeMaps(buildMap(base), buildMap(over), path)
  const [a, b] = [alike(base), alike(over)]
  if (a.kind === "map" && b.kind === "map") return mergeMaps(a, b, path)
  if (appended.has(path) || (a.kind === "seq" && b.kind === "seq")) {
    const added = listOf(b).filter((item) => !listOf(a).some((there) => same(there, item)))
    return seqOf([...listOf(a), ...added], b)
  }
  return b
}

const buildMap = (node: Node): MapNode =>
  node.kind === "map" ? node : mapOf([{ key: "context", place: node.place, value: node }], node)

const mergeMaps = (base: MapNode, over: MapNode, path: string): MapNode => {
  const entries = new Map(base.entries)
  for (const [key, entry] of over.entries) {
    const there = base.entries.get(key)
    if (entry.value.tag === "!reset") entries.delete(key)
    else if (!there) entries.set(key, entry)
    else
      entries.set(key, { ...entry, value: mergeValue(there.value, entry.value, path === "" ? key : `${path}.${key}`) })
  }
  return mapOf(entries.values(), over)
}

export const mergeService = (base: Node, over: Node): Node =>
  base.kind === "map" && over.kind === "map" ? mergeMaps(base, over, "") : over

/** One file over another. */
export const mergeFiles = (base: MapNode, over: MapNode): MapNode => {
  const entries = new Map(base.entries)
  for (const [key, entry] of over.entries) {
    const there = base.entries.get(key)
    if (entry.value.tag === "!reset") entries.delete(key)
    else if (there === undefined || there.value.kind !== "map" || entry.value.kind !== "map") entries.set(key, entry)
    else {
      const inner = new Map(there.value.entries)
      for (const [name, own] of entry.value.entries) {
        const before = inner.get(name)
        if (own.value.tag === "!reset") inner.delete(name)
        else if (before === undefined || own.value.tag === "!override") inner.set(name, own)
        else
          inner.set(name, { ...own, value: isNull(own.value) ? before.value : mergeService(before.value, own.value) })
      }
      entries.set(key, { ...entry, value: mapOf(inner.values(), entry.value) })
    }
  }
  return mapOf(entries.values(), over)
}
