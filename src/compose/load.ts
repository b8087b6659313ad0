import { dirname, isAbsolute, join } from "node:path/posix"
import { Either } from "effect"
import { nearest } from "../domain/nearest.ts"
import { parseDotenv } from "./dotenv.ts"
import { interpolate, type Lookup } from "./interpolate.ts"
import { mergeFiles, mergeService } from "./merge.ts"
import { childOf, type Entry, isNull, listOf, type MapNode, mapOf, type Node } from "./Node.ts"
import { parseYaml } from "./parseYaml.ts"
import type { Report } from "./Report.ts"
import { eachItem, expected, keyOf, scalar, walk } from "./walk.ts"

/** Reads a file of the workstation; a text of why not is an error, undefined is a file that is not there. */
export type ReadFile = (path: string) => Either.Either<string | undefined, string>

export interface Loader {
  readonly read: ReadFile
  readonly report: Report
}

const mostFiles = 50

export const resolvePath = (base: string, path: string): string => (isAbsolute(path) ? path : join(base, path))
const isRemote = (path: string) => /^(https?:|git@|git:|ssh:|oci:|github\.com\/)|\.git(#|$)/.test(path)

/** The values of an env file. */
export const readEnvFile = (
  { read, report }: Loader,
  file: string,
  lookup: Lookup,
  from: { readonly node: Node; readonly key: string } | undefined,
  { raw = false, required = true } = {}
): ReadonlyMap<string, string> => {
  const place = from?.node.place ?? { file, line: 1, column: 1 }
  const found = read(file)
  if (Either.isLeft(found)) report.wrong(place, from?.key ?? "", `${file} cannot be read: ${found.left}`)
  else if (found.right !== undefined) {
    const { problems, values } = parseDotenv(found.right, lookup, raw)
    for (const { line, message } of problems) report.wrong({ file, line, column: 1 }, "", message)
    return values
  } else if (required) report.wrong(place, from?.key ?? "", `there is no file ${file}`)
  return new Map()
}

/** With variables in place: every text of it, keys aside. */
const interpolated = (node: Node, lookup: Lookup, report: Report): Node => {
  const unsetAt = new Set<string>()
  const visit = (at: Node, path: string): Node => {
    if (at.kind === "seq") return { ...at, items: at.items.map((item, i) => visit(item, `${path}[${i}]`)) }
    if (at.kind === "map") {
      const entries = [...at.entries].map(
        ([key, entry]) => [key, { ...entry, value: visit(entry.value, keyOf(path, key)) }] as const
      )
      return { ...at, entries: new Map(entries) }
    }
    if (at.type !== "text" || !at.text.includes("$")) return at
    const done = interpolate(at.text, lookup)
    if (Either.isLeft(done)) {
      report.wrong(at.place, path, done.left)
      return at
    }
    for (const name of done.right.unset) {
      if (!unsetAt.has(name))
        report.advise(at.place, path, `the variable ${name} is not set: nothing stands in its place`)
      unsetAt.add(name)
    }
    return { ...at, text: done.right.text }
  }
  return visit(node, "")
}

interface File {
  readonly path: string
  readonly root: MapNode
}

const readFile = (loader: Loader, path: string, base: string, lookup: Lookup, from?: { node: Node; key: string }) => {
  const { read, report } = loader
  const wrong = (message: string) =>
    report.wrong(from?.node.place ?? { file: path, line: 1, column: 1 }, from?.key ?? "", message)
  if (isRemote(path)) return void wrong(`${path} is not on this machine: fetch it, and name the copy`)
  const found = read(path)
  if (Either.isLeft(found)) return void wrong(`${path} cannot be read: ${found.left}`)
  if (found.right === undefined) return void wrong(`there is no file ${path}`)
  const tree = parseYaml(path, base, found.right, report)
  if (tree === undefined) return undefined
  if (tree.kind !== "map") return void expected(report, tree, "", "a map with services")
  return { path, root: interpolated(tree, lookup, report) as MapNode } satisfies File
}

/** Carries out `extends`, within a file and from others. */
const extendServices = (loader: Loader, file: File, lookup: Lookup, opened: Map<string, File>): MapNode => {
  const { report } = loader
  const resolve = (from: File, name: string, chain: ReadonlyArray<string>): Node | undefined => {
    const own = childOf(childOf(from.root, "services"), name)
    if (own?.kind !== "map") return own
    const clause = own.entries.get("extends")
    if (clause === undefined) return own
    report.visit(clause)
    const key = `services.${name}.extends`
    const rest = mapOf(
      [...own.entries.values()].filter((entry) => entry !== clause),
      own
    )
    if (isNull(clause.value)) return rest
    let service = clause.value.kind === "scalar" ? clause.value : undefined
    let path: Node | undefined
    if (clause.value.kind !== "scalar") {
      walk(report, clause.value, key, {
        service: ({ value }, at) => {
          service = scalar(report, value, at)
        },
        file: ({ value }, at) => {
          path = scalar(report, value, at)
        }
      })
    }
    if (service === undefined) {
      report.wrong(clause.place, key, "needs the service that it extends")
      return rest
    }
    let base: File | undefined = from
    if (path?.kind === "scalar") {
      const at = resolvePath(path.base, path.text)
      base =
        opened.get(at) ??
        (opened.size < mostFiles ? readFile(loader, at, dirname(at), lookup, { node: path, key }) : undefined)
      if (base === undefined) return rest
      opened.set(at, base)
    }
    const id = `${base.path}:${service.text}`
    if (chain.includes(id)) {
      report.wrong(
        clause.place,
        key,
        `a circle: ${[...chain.slice(chain.indexOf(id)), id].map((each) => each.split(":").at(-1)).join(" → ")}`
      )
      return rest
    }
    const services = childOf(base.root, "services")
    const names = services?.kind === "map" ? [...services.entries.keys()] : []
    if (!names.includes(service.text)) {
      const near = nearest(service.text, names)
      const meant = near === undefined ? "" : `; did you mean ${near}?`
      report.wrong(service.place, key, `there is no service ${service.text} in ${base.path}${meant}`)
      return rest
    }
    const extended = resolve(base, service.text, [...chain, id])
    return extended === undefined ? rest : mergeService(extended, rest)
  }
  const services = file.root.entries.get("services")
  if (services?.value.kind !== "map") return file.root
  const entries = [...services.value.entries.values()].map((entry): Entry => {
    const value = resolve(file, entry.key, [`${file.path}:${entry.key}`])
    return value === undefined ? entry : { ...entry, value }
  })
  const all = new Map(file.root.entries).set("services", { ...services, value: mapOf(entries, services.value) })
  return mapOf(all.values(), file.root)
}

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
      for (const [name, value] of values) own.set(name, value)
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
