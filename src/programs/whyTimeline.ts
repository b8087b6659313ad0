import type { Findings } from "../domain/Findings.ts"
import { version } from "../domain/Image.ts"
import { type Entry, probeEntry } from "../domain/Timeline.ts"
import type { Container, LogLine } from "../services/ContainerRuntime.ts"
import type { DeploymentRow, EventRow } from "../services/Registry.ts"
import type { Past } from "./attempts.ts"

const because = (message: string) => (message === "" ? "" : `: ${message}`)

/** What no row of a deployment tells. */
const ofItsOwn: ReadonlySet<string> = new Set(["refused", "failed", "begun"])

const isOfDeployment = ({ kind, to }: EventRow) =>
  (kind === "deploy" || kind === "rollback" || kind === "restart") && !ofItsOwn.has(to)

const eventEntry = ({ actor, at, from, kind, message, to }: EventRow): Entry => {
  const entry = (text: string): Entry => ({ at, kind, text, actor })
  switch (kind) {
    case "desired":
    case "observed":
      return entry(`${from === "" ? "" : `${from} -> `}${to}${because(message)}`)
    case "restarted":
      return entry(to === "running" ? `started again${because(message)}` : `did not start again${because(message)}`)
    default:
      return entry(`${to}${because(message)}`)
  }
}

const versions = (from: string | undefined, to: string) => {
  const [old, now] = [from === undefined ? undefined : version(from), version(to)]
  return old === undefined || old === now ? now : `${old} -> ${now}`
}

/** What a deployment meant to do with the component, and what became of it. */
const deploymentEntries = (row: DeploymentRow, past: Past, component: string): ReadonlyArray<Entry> => {
  const step = past.steps.get(row.id)?.find((each) => each.component === component)
  const image = row.spec.components.find(({ name }) => name === component)?.image
  const { actor, failure, finishedAt, id, kind, lastError, startedAt, state } = row
  const act =
    step === undefined
      ? ""
      : `: ${step.action}${image === undefined ? "" : `, version ${versions(step.fromImage, image)}`}`
  const entry = (at: number, text: string): Entry => ({ at, kind, text, actor: at === startedAt ? actor : "" })
  const begun = entry(startedAt, `${id} began${act}`)
  if (finishedAt === undefined) {
    const held = lastError === undefined ? "" : `, held up${because(lastError)}`
    return [begun, entry(startedAt, `under way (${state.replaceAll("_", " ")})${held}`)]
  }
  const lines = failure?.component === component ? failure.lastLogs : []
  const ended = state === "succeeded" ? "succeeded" : `rolled back${because(failure?.message ?? "")}`
  return [
    begun,
    ...lines.map((text): Entry => ({ at: finishedAt, kind: "log", text, actor: "" })),
    entry(finishedAt, ended)
  ]
}

const exitEntry = (findings: Findings, container: Container | undefined): ReadonlyArray<Entry> => {
  const at = container?.finishedAt
  if (container?.state !== "exited" || at === undefined || findings.end === undefined) return []
  const { reason } = findings.end
  const why = reason.startsWith("exited_") ? "" : ` (${reason.replaceAll("_", " ")})`
  return [{ at, kind: "exit", text: `exit code ${container.exitCode ?? 0}${why}`, actor: "" }]
}

/** All that is known to have happened to a component, in no order. */
export const entriesOf = (
  findings: Findings,
  past: Past,
  lines: ReadonlyArray<LogLine>,
  container: Container | undefined
): ReadonlyArray<Entry> => {
  const { component, now } = findings
  const started = container?.startedAt
  return [
    ...past.deployments.toReversed().flatMap((row) => deploymentEntries(row, past, component)),
    ...past.events
      .filter((event) => (event.component === "" || event.component === component) && !isOfDeployment(event))
      .map(eventEntry),
    ...findings.probes.map(probeEntry),
    ...lines.map(
      ({ at, line }): Entry => ({ at: at ?? container?.finishedAt ?? now, kind: "log", text: line, actor: "" })
    ),
    ...(started === undefined ? [] : [{ at: started, kind: "started", text: "its container started", actor: "" }]),
    ...exitEntry(findings, container)
  ]
}
