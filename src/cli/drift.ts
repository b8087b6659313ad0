import type { DesiredState, ObservedState } from "../domain/State.ts"
import type { Drift } from "./json.ts"

/** Where desired and observed disagree. `unknown` is no drift: nobody can say. */
export const driftOf = (
  desired: DesiredState,
  observed: ObservedState,
  version: { readonly wanted: string; readonly actual: string | undefined }
): ReadonlyArray<Drift> => {
  if (desired === "stopped") return observed === "running" || observed === "unhealthy" ? ["running"] : []
  if (desired !== "running") return []
  switch (observed) {
    case "removed":
      return ["missing"]
    case "stopped":
    case "exited":
      return ["stopped"]
    case "unknown":
      return []
    default: {
      // By version and not by reference: podman may know the same image under another name.
      const image = Boolean(version.actual) && version.wanted !== "" && version.actual !== version.wanted
      return [...(observed === "unhealthy" ? (["unhealthy"] as const) : []), ...(image ? (["image"] as const) : [])]
    }
  }
}
