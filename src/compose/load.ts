import { dirname, join } from "node:path/posix"
import { extendServices } from "./extends.ts"
import { isRemote, type Loader, mostFiles, readEnvFile, readFile, resolvePath } from "./files.ts"
import type { Lookup } from "./interpolate.ts"
import { mergeFiles } from "./merge.ts"
import { type Entry, listOf, type MapNode, mapOf, type Node } from "./Node.ts"
import type { Report } from "./Report.ts"
import { eachItem, scalar, walk } from "./walk.ts"

const sections = ["services", "volumes", "networks", "secrets", "configs"]

/** What is included is another project's: none of its names may be ours as well. */
const joined = (report: Report, ours: MapNode, theirs: MapNode): MapNode => {
  const entries = new Map(ours.entries)
  for (const section of sections) {
    const more = theirs.entries.get(section)
    const there = entries.get(section)
    if (more?.value.kind !== "map") continue
    const own = there?.value.kind === "map" ? there.value.entries : new Map<string, Entry>()
    for (const [name, entry] of more.value.entries) {
      const first = own.get(name)
      if (first === undefined || section !== "services") continue
      report.wrong(entry.place, `${section}.${name}`, `stands in ${first.place.file}:${first.place.line} as well`)
    }
    const all = new Map([...more.value.entries, ...own])
    entries.set(section, { ...(there ?? more), value: mapOf(all.values(), there?.value ?? more.value) })
  }
  for (const entry of theirs.entries.values()) {
    report.visit(entry)
    if (entries.has(entry.key) && sections.includes(entry.key)) continue
    if (["name", "version"].includes(entry.key))
      report.leftOut(entry.place, entry.key, "of an included file, which joins this project")
    else if (!entries.has(entry.key)) entries.set(entry.key, entry)
    else report.leftOut(entry.place, entry.key, "of an included file; the including file's own counts")
  }
  return mapOf(entries.values(), ours)
}

const includes = (loader: Loader, root: MapNode, lookup: Lookup, chain: ReadonlyArray<string>): MapNode => {
  const { report } = loader
  const clause = root.entries.get("include")
  if (clause === undefined) return root
  report.visit(clause)
  let result = mapOf(
    [...root.entries.values()].filter((entry) => entry !== clause),
    root
  )
  eachItem(listOf(clause.value), (item, i) => {
    const key = `include[${i}]`
    let paths: ReadonlyArray<Node> = item.kind === "scalar" ? [item] : []
    let project: string | undefined
    let envFiles: ReadonlyArray<Node> = []
    if (item.kind !== "scalar") {
      walk(report, item, key, {
        path: ({ value }) => {
          paths = listOf(value)
        },
        project_directory: ({ value }, at) => {
          const found = scalar(report, value, at)
          project = found && resolvePath(found.base, found.text)
        },
        env_file: ({ value }) => {
          envFiles = listOf(value)
        }
      })
    }
    const files = paths.flatMap((path) => {
      const found = scalar(report, path, key)
      return found === undefined
        ? []
        : [{ node: found, path: isRemote(found.text) ? found.text : resolvePath(found.base, found.text) }]
    })
    const [first] = files
    if (first === undefined) return report.wrong(item.place, key, "needs a path")
    const base = project ?? dirname(first.path)
    const own = new Map<string, string>()
    const known: Lookup = (name) => lookup(name) ?? own.get(name)
    const sources =
      envFiles.length > 0
        ? envFiles.flatMap((node) =>
            node.kind === "scalar" ? [{ node, file: resolvePath(node.base, node.text) }] : []
          )
        : [{ node: item, file: join(base, ".env") }]
    for (const { file, node } of sources) {
      const values = readEnvFile(loader, file, known, { node, key }, { required: envFiles.length > 0 })
      for (const [name, value] of values ?? []) own.set(name, value)
    }
    const theirs = loadFiles(loader, files, base, known, chain)
    if (theirs !== undefined) result = joined(report, result, theirs)
  })
  return result
}

/** Files of one project, each laid over those before it; what they include and extend is carried out. */
export const loadFiles = (
  loader: Loader,
  files: ReadonlyArray<{ readonly path: string; readonly node?: Node }>,
  base: string,
  lookup: Lookup,
  chain: ReadonlyArray<string> = []
): MapNode | undefined => {
  let result: MapNode | undefined
  for (const { node, path } of files) {
    const from = node && { node, key: "include" }
    if (chain.includes(path) || chain.length > mostFiles) {
      loader.report.wrong(
        node?.place ?? { file: path, line: 1, column: 1 },
        "include",
        `a circle: ${[...chain, path].join(" → ")}`
      )
      continue
    }
    const file = readFile(loader, path, base, lookup, from)
    if (file === undefined) continue
    const root = extendServices(
      loader,
      { ...file, root: includes(loader, file.root, lookup, [...chain, path]) },
      lookup,
      new Map()
    )
    result = result === undefined ? root : mergeFiles(result, root)
  }
  return result
}
