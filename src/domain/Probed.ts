import type { Health } from "./Spec.ts"
import type { HealthState } from "./State.ts"

/** What the probes of one container's health check have shown so far. */
export interface Probed {
  readonly state: HealthState
  /** In a row; those within the start period are not counted. */
  readonly failures: number
  /** One line about the failures: `HTTP 503`. Empty while healthy. */
  readonly detail: string
}

export const unprobed: Probed = { state: "starting", failures: 0, detail: "" }

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
  const status = /^HTTP (\d+)$/.exec(detail)?.[1]
  if (status) return `probe_status_${status}`
  if (detail === "connection refused") return "probe_refused"
  return isTimeout(detail) ? "probe_timeout" : "probe_failed"
}
