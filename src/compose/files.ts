import { isAbsolute, join } from "node:path/posix"
import { Either } from "effect"
import { parseDotenv } from "./dotenv.ts"
import { interpolate, type Lookup } from "./interpolate.ts"
import type { MapNode, Node } from "./Node.ts"
import { parseYaml } from "./parseYaml.ts"
import { placeId, type Report } from "./Report.ts"
import { expected, keyOf } from "./walk.ts"

/** Reads a file of the workstation; a text of why not is an error, undefined is a file that is not there. */
export type ReadFile = (path: string) => Either.Either<string | undefined, string>

export interface Loader {
  readonly read: ReadFile
  readonly report: Report
}

export const mostFiles = 50

export const resolvePath = (base: string, path: string): string => (isAbsolute(path) ? path : join(base, path))
export const isRemote = (path: string) => /^(https?:|git@|git:|ssh:|oci:|github\.com\/)|\.git(#|$)/.test(path)

/** The values of an env file; undefined where there is none and none has to be. */
export const readEnvFile = (
  { read, report }: Loader,
  file: string,
  lookup: Lookup,
  from: { readonly node: Node; readonly key: string } | undefined,
  { raw = false, required = true } = {}
): ReadonlyMap<string, string> | undefined => {
  const place = from?.node.place ?? { file, line: 1, column: 1 }
  const found = read(file)
  if (Either.isLeft(found)) report.wrong(place, from?.key ?? "", `${file} cannot be read: ${found.left}`)
  else if (found.right !== undefined) {
    const { notes, problems, values } = parseDotenv(found.right, lookup, raw)
    for (const { line, message } of problems) report.wrong({ file, line, column: 1 }, "", message)
    for (const { line, message } of notes) report.advise({ file, line, column: 1 }, "", message)
    return values
  } else if (required) report.wrong(place, from?.key ?? "", `there is no file ${file}`)
  else return undefined
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
    if (done.right.unset.length > 0) report.unset.set(placeId(at.place), done.right.unset)
    for (const name of done.right.unset) {
      if (!unsetAt.has(name))
        report.advise(at.place, path, `the variable ${name} is not set: nothing stands in its place`)
      unsetAt.add(name)
    }
    return { ...at, text: done.right.text }
  }
  return visit(node, "")
}

export interface File {
  readonly path: string
  readonly root: MapNode
}

export const readFile = (
  loader: Loader,
  path: string,
  base: string,
  lookup: Lookup,
  from?: { node: Node; key: string }
) => {
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
