import type { Health } from "./Spec.ts"
import type { HealthState } from "./State.ts"

/** What the probes of one container's health check have shown so far. */
export interface Probed {
  readonly state: HealthState
  /** In a row; those within the start period are not counted. */
  readonly failures: number
  /** One line about the failures: `HTTP 503: database is down`. Empty while healthy. */
  readonly detail: string
}

export const unprobed: Probed = { state: "starting", failures: 0, detail: "" }

/** Probes in a row that found the same. */
export interface ProbeRun {
  /** Milliseconds since the epoch, of the first and the last. */
  readonly from: number
  readonly until: number
  readonly times: number
  readonly healthy: boolean
  readonly detail: string
}

const keptRuns = 10

/** One more probe at the end of what is kept of a container's. */
export const withProbe = (
  runs: ReadonlyArray<ProbeRun>,
  { detail, healthy }: { readonly healthy: boolean; readonly detail: string },
  at: number
): ReadonlyArray<ProbeRun> => {
  const last = runs.at(-1)
  return last?.healthy === healthy && last.detail === detail
    ? [...runs.slice(0, -1), { ...last, until: at, times: last.times + 1 }]
    : [...runs, { from: at, until: at, times: 1, healthy, detail }].slice(-keptRuns)
}

/** Of a body that is read no more is looked at. */
export const bodyBytes = 1024
const shownCharacters = 200

/** The first words of what a program answered, as one short line; of a page its text. */
export const firstWords = (body: string): string => {
  const words = body
    .replace(/<(script|style|title)\b[\s\S]*?(<\/\1>|$)/gi, " ")
    .replace(/<[^>]*(>|$)/g, " ")
    .replace(/[\p{Cc}\s\ufffd]+/gu, " ")
    .trim()
  return words.length > shownCharacters ? `${words.slice(0, shownCharacters - 1)}…` : words
}

const isTimeout = (detail: string): boolean => detail.startsWith("no answer")

/** An answer tells more of the cause than a probe that was not answered in time, as happens on a busy node. */
const telling = (before: Probed, detail: string): string =>
  before.failures > 0 && before.detail !== "" && isTimeout(detail) ? before.detail : detail

/**
 * One more probe, `upMs` after the container's start. `retries` failures in a row mean unhealthy; until the first success
 * those within the start period do not count.
 */
export const afterProbe = (
  before: Probed,
  probe: { readonly healthy: boolean; readonly detail: string },
  { retries, startPeriod }: Pick<Health, "retries" | "startPeriod">,
  upMs: number
): Probed => {
  if (probe.healthy) return { state: "healthy", failures: 0, detail: "" }
  if (before.state === "starting" && upMs < startPeriod) return { ...before, detail: probe.detail }
  const failures = before.failures + 1
  return {
    state: failures >= retries ? "unhealthy" : before.state,
    failures,
    detail: telling(before, probe.detail)
  }
}

/** A stable name for what a failed probe showed. */
export const probeReason = (detail: string): string => {
  const status = /^HTTP (\d+)(?:$|:)/.exec(detail)?.[1]
  if (status) return `probe_status_${status}`
  if (detail === "connection refused") return "probe_refused"
  return isTimeout(detail) ? "probe_timeout" : "probe_failed"
}
