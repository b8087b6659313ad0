import { Schema } from "effect"
import type { RestartPolicy } from "./Scalars.ts"
import type { DesiredState, ObservedState } from "./State.ts"

/** How desired and observed disagree. */
export const Drift = Schema.Literal("missing", "stopped", "running", "image", "spec", "unhealthy", "flapping")
export type Drift = typeof Drift.Type

export interface Seen {
  readonly desired: DesiredState
  readonly observed: ObservedState
  readonly exitCode: number | undefined
  readonly restart: RestartPolicy
  /** The image ids that the registry and the runtime have. */
  readonly image: { readonly desired: string | undefined; readonly actual: string | undefined }
  /** Whether the container is another than its row says: by its name, or by the spec that it was made from. */
  readonly otherSpec: boolean
  /** Whether it keeps leaving its desired state. */
  readonly flapping: boolean
}

/** Whether a container that ended did so as its restart policy has it: a job, or a program that said it is done. */
export const endedByPolicy = (restart: RestartPolicy, exitCode: number | undefined): boolean =>
  restart === "no" || (restart.startsWith("on-failure") && exitCode === 0)

/** Where desired and observed disagree, flapping aside: that is seen over time. `unknown` is no drift: nobody can say. */
const driftNow = (seen: Seen): ReadonlyArray<Drift> => {
  const { desired, exitCode, image, observed, restart } = seen
  if (desired === "stopped") return observed === "running" || observed === "unhealthy" ? ["running"] : []
  if (desired !== "running" || observed === "unknown") return []
  if (observed === "exited" && endedByPolicy(restart, exitCode)) return []
  if (observed === "removed") return ["missing"]
  if (observed === "stopped" || observed === "exited") return ["stopped"]
  const otherImage = image.desired !== undefined && image.actual !== undefined && image.desired !== image.actual
  return [
    ...(observed === "unhealthy" ? (["unhealthy"] as const) : []),
    ...(otherImage ? (["image"] as const) : []),
    ...(seen.otherSpec ? (["spec"] as const) : [])
  ]
}

/** All that is to be said of a component's drift. */
export const driftOf = (seen: Seen): ReadonlyArray<Drift> => [
  ...driftNow(seen),
  ...(seen.flapping && seen.desired === "running" ? (["flapping"] as const) : [])
]
