import { Schema } from "effect"
import { Action, DesiredState, ObservedState } from "../../domain/State.ts"
import { MaybeNumber, MaybeText, Time, unreachable_nodes } from "./fields.ts"

/* What commands print that only look. */

export const Running = Schema.Struct({
  service: Schema.String,
  component: Schema.String,
  node: Schema.String,
  container: Schema.String,
  container_id: MaybeText,
  desired: DesiredState,
  state: ObservedState,
  health: MaybeText,
  exit_code: MaybeNumber,
  image: Schema.String,
  version: Schema.String,
  started_at: Time,
  uptime_ms: MaybeNumber,
  restarts: Schema.JsonNumber,
  /** When the agent restarts it next. */
  restart_at: Time,
  ports: Schema.Array(Schema.String)
})
export type Running = typeof Running.Type

export const Ps = Schema.Struct({ components: Schema.Array(Running), unreachable_nodes })

const registered = {
  component: Schema.String,
  container: Schema.String,
  desired: DesiredState,
  observed: ObservedState,
  observed_at: Time,
  image: Schema.String,
  version: Schema.String,
  generation: Schema.JsonNumber
}

export const Listed = Schema.Struct({ service: Schema.String, node: Schema.String, ...registered })
export type Listed = typeof Listed.Type

export const List = Schema.Struct({ components: Schema.Array(Listed), unreachable_nodes })

export const StatusComponent = Schema.Struct({
  ...registered,
  running_version: MaybeText,
  health: MaybeText,
  exit_code: MaybeNumber,
  started_at: Time,
  uptime_ms: MaybeNumber,
  restarts: Schema.JsonNumber,
  /** When the agent restarts it next. */
  restart_at: Time,
  ports: Schema.Array(Schema.String),
  /** The policy by which podman itself restarts it, in place of the agent; only an adopted container has one. */
  podman_restart: MaybeText,
  /** An agent that is newer than this program may know more kinds. */
  drift: Schema.Array(Schema.String),
  /** No alerts until then. */
  silenced_until: Time
})
export type StatusComponent = typeof StatusComponent.Type

export const Deployment = Schema.Struct({
  deployment: Schema.String,
  state: Schema.String,
  actor: Schema.String,
  started_at: Time,
  finished_at: Time,
  error: MaybeText
})

export const Event = Schema.Struct({
  /** In the order in which its node recorded them. */
  id: Schema.JsonNumber,
  at: Time,
  node: Schema.String,
  /** Empty: the node itself. */
  service: Schema.String,
  /** Null: the whole service. */
  component: MaybeText,
  /**
   * `desired`, `observed`, `restarted`, `heal`, `drift`, `recovered`, `alert`, `silence`, `runtime`, `deploy`, `rollback`,
   * `restart`, `adopt` or `start`; a newer agent may know more.
   */
  kind: Schema.String,
  from: MaybeText,
  to: Schema.String,
  message: MaybeText,
  /** Stable, such as `EXITED_1` or `IMAGE_NOT_FOUND`. */
  reason: MaybeText,
  actor: MaybeText
})
export type Event = typeof Event.Type

export const Events = Schema.Struct({ events: Schema.Array(Event), unreachable_nodes })

export const StatusService = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  desired: DesiredState,
  comment: MaybeText,
  drift: Schema.Boolean,
  components: Schema.Array(StatusComponent),
  deployments: Schema.Array(Deployment),
  /** The last few, oldest first. */
  events: Schema.Array(Event)
})
export type StatusService = typeof StatusService.Type

export const Status = Schema.Struct({ services: Schema.Array(StatusService), unreachable_nodes })

export const Node = Schema.Struct({
  node: Schema.String,
  role: MaybeText,
  address: Schema.String,
  arch: MaybeText,
  status: Schema.Literal("ready", "degraded", "unreachable", "refused"),
  message: MaybeText,
  version: MaybeText,
  services: MaybeNumber,
  containers_running: MaybeNumber,
  started_at: Time,
  last_seen: Time
})
export type Node = typeof Node.Type

export const Nodes = Schema.Struct({ nodes: Schema.Array(Node) })

export const HistoryEntry = Schema.Struct({
  ...Deployment.fields,
  kind: Schema.String,
  rollback_to: MaybeText,
  reason: MaybeText,
  component: MaybeText,
  last_error: MaybeText,
  last_logs: Schema.Array(Schema.String),
  current: Schema.Boolean,
  pinned: Schema.Boolean,
  images_kept: Schema.Boolean,
  changes: Schema.Array(
    Schema.Struct({ component: Schema.String, action: Action, from_image: MaybeText, to_image: MaybeText })
  )
})
export type HistoryEntry = typeof HistoryEntry.Type

export const History = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  deployments: Schema.Array(HistoryEntry)
})

export const LogLine = Schema.Struct({
  service: Schema.String,
  component: Schema.String,
  node: Schema.String,
  at: Time,
  stream: Schema.String,
  line: Schema.String
})

export const WhyEntry = Schema.Struct({
  at: Time,
  /** An event's kind, or `probe`, `started`, `exit` or `log`. */
  kind: Schema.String,
  text: Schema.String,
  actor: MaybeText
})
export type WhyEntry = typeof WhyEntry.Type

export const WhyComponent = Schema.Struct({
  component: Schema.String,
  /** A stable name: `exited_1`, `oom_killed`, `probe_refused`, ...; `running` when all is well. */
  cause: Schema.String,
  /** Of `rolled_back` and `deploy_refused`: the cause of the component that failed. */
  behind: MaybeText,
  /** It is as it should be. */
  well: Schema.Boolean,
  summary: Schema.String,
  next_step: MaybeText,
  /** Oldest first. */
  timeline: Schema.Array(WhyEntry),
  /** Null: the registry has no such component any more, or not yet. */
  live: Schema.NullOr(Running)
})
export type WhyComponent = typeof WhyComponent.Type

export const Why = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  components: Schema.Array(WhyComponent)
})

export const Used = Schema.Struct({
  service: Schema.String,
  component: Schema.String,
  node: Schema.String,
  desired: DesiredState,
  state: ObservedState,
  container_id: MaybeText,
  /** Of one core. This and what follows is null where the component does not run. */
  cpu_percent: MaybeNumber,
  memory_bytes: MaybeNumber,
  /** The memory of the whole node where the definition sets none. */
  memory_limit_bytes: MaybeNumber,
  network_in_bytes: MaybeNumber,
  network_out_bytes: MaybeNumber,
  block_in_bytes: MaybeNumber,
  block_out_bytes: MaybeNumber,
  pids: MaybeNumber
})
export type Used = typeof Used.Type

export const Stats = Schema.Struct({ components: Schema.Array(Used), unreachable_nodes })
