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

/** A container as podman has it now. Times are milliseconds since the epoch. */
export interface Standing {
  readonly state: string
  readonly exitCode?: number | undefined
  readonly startedAt?: number | undefined
  readonly finishedAt?: number | undefined
}

/** What the registry has of the restarts of that very container. */
export interface KnownRestarts extends RestartsSoFar {
  readonly endedAt: number
  readonly nextAt?: number | undefined
  /** It has ended as its policy has it, and is not started again in its generation. */
  readonly rests: boolean
}

const ranFor = ({ finishedAt = 0, startedAt = 0 }: Standing) => finishedAt - startedAt

/** What counts of earlier restarts once this container has ended: nothing but their number, if it ran for long enough. */
export const countedAt = (container: Standing, soFar: RestartsSoFar): RestartsSoFar =>
  ranFor(container) >= backoff.steadyMs ? { restarts: soFar.restarts, failures: 0, delayMs: 0 } : soFar

/** What is to be done so that a component runs which should. */
export type Due =
  | { readonly act: "nothing" }
  /** Its policy lets it rest. */
  | { readonly act: "rest" }
  | { readonly act: "make" }
  /** It was made and never started, or podman has lost what it knew of it in a reboot. */
  | { readonly act: "start" }
  /** Not before `at`. */
  | { readonly act: "restart"; readonly next: RestartsSoFar; readonly at: number }

/**
 * The one rule of what is started again and when, for the supervisor of restarts and for whoever brings a node back.
 * What ended while the agent was away has waited already; podman tells the time of an end in whole seconds. A time that
 * was set for this end stays, also for the next agent.
 */
export const dueOf = (
  policy: RestartPolicy,
  container: Standing | undefined,
  known: KnownRestarts | undefined,
  now: number
): Due => {
  if (container === undefined) return { act: known?.rests ? "rest" : "make" }
  if (container.state === "created") {
    const done = known?.rests || (policy === "no" && container.startedAt !== undefined)
    return { act: done ? "rest" : "start" }
  }
  if (container.state !== "exited") return { act: "nothing" }
  // A time that is set for this very end: it has been seen to, and perhaps tried in vain since.
  const planned = known?.nextAt !== undefined && known.endedAt === (container.finishedAt ?? 0)
  const ranMs = planned ? 0 : ranFor(container)
  const next = nextRestart(policy, { exitCode: container.exitCode, ranMs }, known ?? none)
  if (next === undefined) return { act: "rest" }
  if (planned && known?.nextAt !== undefined) {
    // No pause is longer, but for a clock that was set back.
    return { act: "restart", next, at: Math.min(known.nextAt, now + backoff.mostMs) }
  }
  const waited = now - (container.finishedAt ?? now) > next.delayMs + 1_000
  return { act: "restart", next, at: waited ? now : now + next.delayMs }
}

/** When one that was made and could not be started is tried again: it waits as one that ended does. */
export const nextStart = (known: KnownRestarts | undefined, now: number) => {
  const { delayMs: last, failures, restarts } = known ?? none
  const delayMs = last === 0 ? backoff.firstMs : Math.min(backoff.mostMs, last * 2)
  return { next: { restarts, failures, delayMs }, at: known?.nextAt ?? now + delayMs }
}
