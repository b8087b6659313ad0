import { stampOf } from "./lasting.ts"
import type { ProbeRun } from "./Probed.ts"

/** One thing that happened to a component. */
export interface Entry {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** An event's kind, or `probe`, `exit`, `log`. */
  readonly kind: string
  readonly text: string
  /** Who did it; empty when nobody did. */
  readonly actor: string
}

export const mostEntries = 40
/** Restarts of a component that ends again and again, told one by one. */
const restartsTold = 3

export const probeEntry = ({ detail, from, healthy, times, until }: ProbeRun): Entry => ({
  at: from,
  kind: "probe",
  text: `${healthy ? "" : "failed: "}${detail || "healthy"}${times > 1 ? `, ${times} times until ${stampOf(until)}` : ""}`,
  actor: ""
})

/** Of many restarts the last few, and how many there were before; what was observed between those is left out. */
const withFewRestarts = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const restarts = entries.filter(({ kind }) => kind === "restarted")
  const left = restarts.slice(0, -restartsTold)
  const [first, last] = [left[0], left.at(-1)]
  if (first === undefined || last === undefined || left.length < 2) return entries
  const within = ({ at }: Entry) => at >= first.at && at <= last.at
  const summary = {
    ...last,
    text: `${left.length} more times since ${stampOf(first.at)}: ${last.text}`
  }
  return entries.flatMap((entry) =>
    entry === last
      ? [summary]
      : within(entry) && (entry.kind === "restarted" || entry.kind === "observed")
        ? []
        : [entry]
  )
}

/** Oldest first, short enough to be read: the newest entries, beside the log's lines, of which there are few. */
export const timeline = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const inOrder = entries
    .map((entry, i) => ({ entry, i }))
    .sort((a, b) => a.entry.at - b.entry.at || a.i - b.i)
    .map(({ entry }) => entry)
  const few = withFewRestarts(inOrder)
  const told = few.filter(({ kind }) => kind !== "log")
  const kept = new Set(told.slice(-mostEntries))
  return few.filter((entry) => entry.kind === "log" || kept.has(entry))
}
