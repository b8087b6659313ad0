import { dirname } from "node:path/posix"
import { nearest } from "../domain/nearest.ts"
import { type File, type Loader, mostFiles, readFile, resolvePath } from "./files.ts"
import type { Lookup } from "./interpolate.ts"
import { mergeService } from "./merge.ts"
import { childOf, type Entry, isNull, type MapNode, mapOf, type Node } from "./Node.ts"
import { scalar, walk } from "./walk.ts"

/** Carries out `extends`, within a file and from others. */
export const extendServices = (loader: Loader, file: File, lookup: Lookup, opened: Map<string, File>): MapNode => {
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
