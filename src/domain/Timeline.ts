import { lasting } from "./lasting.ts"
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
  text: `${healthy ? "" : "failed: "}${detail || "healthy"}${times > 1 ? `, ${times} times in ${lasting(until - from)}` : ""}`,
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
    text: `${left.length} times in ${lasting(last.at - first.at)}: ${last.text}`
  }
  return entries.flatMap((entry) =>
    entry === last
      ? [summary]
      : within(entry) && (entry.kind === "restarted" || entry.kind === "observed")
        ? []
        : [entry]
  )
}

const near = (a: Entry, b: Entry) => Math.abs(a.at - b.at) <= 3_000

/** What was observed says nothing beside the start, the restart or the exit that it shows. */
const withoutEchoes = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const shown = (entry: Entry, kinds: ReadonlyArray<string>) =>
    entries.some((other) => kinds.includes(other.kind) && near(entry, other))
  return entries.filter((entry) => {
    if (entry.kind === "started") return !shown(entry, ["restarted"])
    if (entry.kind !== "observed") return true
    return !(entry.text.endsWith("-> running")
      ? shown(entry, ["started", "restarted"])
      : entry.text.endsWith("-> exited") && shown(entry, ["exit"]))
  })
}

/** A program may write lines of any length. */
const longest = 500
const cut = (entry: Entry): Entry =>
  entry.text.length > longest ? { ...entry, text: `${entry.text.slice(0, longest - 1)}…` } : entry

/** Oldest first, short enough to be read: the newest entries, beside the log's lines, of which there are few. */
export const timeline = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const inOrder = entries
    .map((entry, i) => ({ entry, i }))
    .sort((a, b) => a.entry.at - b.entry.at || a.i - b.i)
    .map(({ entry }) => entry)
  const few = withFewRestarts(withoutEchoes(inOrder))
  const told = few.filter(({ kind }) => kind !== "log")
  const kept = new Set(told.slice(-mostEntries))
  return few.filter((entry) => entry.kind === "log" || kept.has(entry)).map(cut)
}
