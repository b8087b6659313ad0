import type { Paint, Style } from "./ansi.ts"
import type * as Json from "./json.ts"
import type { Look } from "./output.ts"
import { idle, planLines } from "./planAll.ts"
import { past } from "./renderDeploy.ts"
import * as rows from "./rows.ts"
import { table } from "./table.ts"

const styles: Partial<Record<Json.SyncService["outcome"], Style>> = {
  deployed: "green",
  started: "green",
  stopped: "green",
  unchanged: "dim",
  pinned: "yellow",
  busy: "red",
  failed: "red"
}

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? "" : "s"}`

/** One service, as it is done. */
export const syncedLines = (s: Json.SyncService, dryRun: boolean, paint: Paint): ReadonlyArray<string> => {
  const where = `${paint("bold", s.service)} on ${s.node}: `
  const changed = s.components.filter((c) => !idle(c))
  switch (s.outcome) {
    case "pinned":
      return [`${where}${paint("yellow", "skipped")}, ${s.failure?.message}; ${s.failure?.next_step}`]
    case "unchanged":
    case "busy":
    case "failed":
      return [
        where + paint(styles[s.outcome], dryRun && s.outcome !== "unchanged" ? `would be ${s.outcome}` : s.outcome)
      ]
    default: {
      if (dryRun) {
        return [where + paint(styles[s.outcome], `would be ${s.outcome}`), ...planLines(s.components, paint)]
      }
      const named = changed.map((c) => (s.outcome === "deployed" ? `${c.component} ${past[c.action]}` : c.component))
      return [where + paint(styles[s.outcome], s.outcome) + (named.length === 0 ? "" : ` (${named.join(", ")})`)]
    }
  }
}

/** `3 services: 1 deployed, 2 unchanged`. */
export const summary = (services: ReadonlyArray<Json.SyncService>): string => {
  const kinds = [...new Set(services.map((s) => s.outcome))]
  const told = kinds.map((kind) => `${services.filter((s) => s.outcome === kind).length} ${kind}`)
  return `${count(services.length, "service")}: ${told.join(", ")}`
}

const orphans = (services: ReadonlyArray<Json.SyncService>) =>
  services.flatMap((s) => s.components.filter((c) => c.action === "orphan").map((c) => ({ ...s, ...c })))

/** What the nodes have beside the definitions, and what to do about each. */
export const besides = ({ not_defined, services, unmanaged }: Json.Sync, look: Look): ReadonlyArray<string> => [
  ...orphans(services).map(
    ({ component, node, service }) =>
      `${service}/${component} on ${node} is in the definition no more: mcp purge ${service}/${component} drops it once it is gone`
  ),
  ...(unmanaged.length === 0
    ? []
    : [
        "containers that nothing in a registry explains:",
        ...table(
          ["CONTAINER", "NODE", "STATE", "IMAGE", "ADOPT WITH"],
          unmanaged.map((c) => [c.container, c.node, rows.stateCell(c.observed), c.image, `mcp adopt ${c.service}`]),
          { ...look, width: look.width - 2 }
        ).map((line) => `  ${line}`)
      ]),
  ...not_defined.map(
    ({ node, service }) =>
      `${service} on ${node} is in no definition: mcp service export ${service} writes one, mcp undeploy ${service} removes it`
  )
]
