import type { Lookup } from "./interpolate.ts"
import type { Entry } from "./Node.ts"
import type { Report } from "./Report.ts"
import { scalar } from "./walk.ts"

/** The nearest name that MCP takes; empty when nothing of it is left. */
const plain = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "")

interface Naming {
  readonly name: string | undefined
  readonly folderName: string
  readonly files: readonly [string, ...Array<string>]
}

/** As compose finds a project's name, unless the operator says one. */
export const serviceName = (
  report: Report,
  { files, folderName, name }: Naming,
  entry: Entry | undefined,
  lookup: Lookup
): string => {
  if (entry) report.visit(entry)
  const said = entry && scalar(report, entry.value, "name")?.text
  if (name !== undefined) {
    if (entry && said !== name) report.changed(entry.place, "name", `the service is called ${name}, as --name says`)
    return name
  }
  const project = said ?? lookup("COMPOSE_PROJECT_NAME") ?? folderName
  const service = plain(project)
  const place = entry?.value.place ?? { file: files[0], line: 1, column: 1 }
  if (service === "") report.wrong(place, "name", "no name for the service can be made of it: say one with --name")
  else if (service !== project)
    report.changed(place, "name", `${project} is called ${service}: names are of a-z, 0-9 and -`)
  return service
}

/** Components' names by those of compose, each once. */
export const componentNames = (report: Report, services: ReadonlyArray<Entry>): ReadonlyMap<string, string> => {
  const names = new Map<string, string>()
  const taken = new Set(services.map(({ key }) => key).filter((key) => plain(key) === key))
  for (const { key, place } of services) {
    const wanted = plain(key)
    if (wanted === key) {
      names.set(key, key)
      continue
    }
    let name = wanted === "" ? "component" : wanted
    for (let n = 2; taken.has(name); n++) name = `${(wanted || "component").slice(0, 58)}-${n}`
    taken.add(name)
    names.set(key, name)
    report.changed(place, `services.${key}`, `the component is called ${name}, and others reach it by that name`)
  }
  return names
}
