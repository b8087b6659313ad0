import { Schema } from "effect"

/** What the registry says should be. */
export const DesiredState = Schema.Literal("running", "stopped", "ignore")
export type DesiredState = typeof DesiredState.Type

/** What health probes say of a running container. */
export const HealthState = Schema.Literal("starting", "healthy", "unhealthy")
export type HealthState = typeof HealthState.Type

/** What the container runtime says is. */
export const ObservedState = Schema.Literal("running", "stopped", "exited", "unhealthy", "removed", "unknown")
export type ObservedState = typeof ObservedState.Type

/** What a deployment does with a component. */
export const Action = Schema.Literal("create", "replace", "start", "unchanged", "orphan", "stop")
export type Action = typeof Action.Type

/** Where a deployment stands; `starting` goes back after a crash, `committing` forward. */
export const DeploymentState = Schema.Literal("starting", "committing", "succeeded", "rolling_back", "rolled_back")
export type DeploymentState = typeof DeploymentState.Type

/** What a deployment is for; a restart brings no other spec, and is no revision. An adopt touched no container. */
export const DeploymentKind = Schema.Literal("deploy", "rollback", "restart", "adopt")
export type DeploymentKind = typeof DeploymentKind.Type

/**
 * Where a restore of a service's data stands. `staging` has touched nothing; `replacing` and `starting` go back after a
 * crash, as `putting_back` does.
 */
export const RestoreState = Schema.Literal(
  "staging",
  "replacing",
  "starting",
  "succeeded",
  "putting_back",
  "rolled_back"
)
export type RestoreState = typeof RestoreState.Type

/**
 * What an event tells of: a state as desired or as observed; a container that the agent started again, or made anew; drift
 * that no state shows, and its end; an alert; a maintenance window; the runtime's coming and going; a deployment; an
 * operator's start that failed; a snapshot of a service's data, and its restore.
 */
export const EventKind = Schema.Literal(
  "desired",
  "observed",
  "restarted",
  "heal",
  "drift",
  "recovered",
  "alert",
  "silence",
  "runtime",
  "start",
  "snapshot",
  "restore",
  ...DeploymentKind.literals
)
export type EventKind = typeof EventKind.Type
