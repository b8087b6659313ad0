import { endedByPolicy } from "./Drift.ts"
import type { RestartPolicy } from "./Scalars.ts"

/** The first pause, doubled up to the longest one; back to the first once it ran for `steadyMs`. */
export const backoff = { firstMs: 1_000, mostMs: 60_000, steadyMs: 60_000 } as const

/** What is known of a container's restarts so far. */
export interface RestartsSoFar {
  readonly restarts: number
  /** Since it last ran for long enough. */
  readonly failures: number
  readonly delayMs: number
}

export const none: RestartsSoFar = { restarts: 0, failures: 0, delayMs: 0 }

/** `N` of `on-failure:N`. */
const mostFailures = (policy: RestartPolicy) => Number(/^on-failure:(\d+)$/.exec(policy)?.[1] ?? Infinity)

/** Whether and when a container that ended is started again; undefined: its policy lets it rest. */
export const nextRestart = (
  policy: RestartPolicy,
  ended: { readonly exitCode: number | undefined; readonly ranMs: number },
  soFar: RestartsSoFar
): RestartsSoFar | undefined => {
  if (endedByPolicy(policy, ended.exitCode)) return undefined
  const steady = ended.ranMs >= backoff.steadyMs
  const failures = steady ? 0 : soFar.failures
  if (failures >= mostFailures(policy)) return undefined
  const delayMs = steady || soFar.delayMs === 0 ? backoff.firstMs : Math.min(backoff.mostMs, soFar.delayMs * 2)
  return { restarts: soFar.restarts + 1, failures: failures + 1, delayMs }
}
