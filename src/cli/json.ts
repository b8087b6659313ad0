import { Schema } from "effect"
import { Action, DesiredState, ObservedState } from "../domain/State.ts"

/*
 * What `--json` prints: public, so a key that is here stays. Keys are snake_case, times RFC 3339, durations in
 * milliseconds with `_ms`. Absent is null, never a missing key. Tables are made from the same rows.
 */

const Time = Schema.NullOr(Schema.Date)
const MaybeText = Schema.NullOr(Schema.String)
const MaybeNumber = Schema.NullOr(Schema.JsonNumber)

export const Unreachable = Schema.Struct({ node: Schema.String, reason: Schema.String, message: Schema.String })
const unreachable_nodes = Schema.Array(Unreachable)

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

export const Outcome = Schema.Struct({
  service: Schema.String,
  component: Schema.String,
  node: Schema.String,
  changed: Schema.Boolean,
  observed: ObservedState
})
export type Outcome = typeof Outcome.Type
export const Failure = Schema.Struct({
  reason: Schema.String,
  message: Schema.String,
  next_step: MaybeText
})
export type Failure = typeof Failure.Type
export const Outcomes = Schema.Struct({
  components: Schema.Array(Outcome),
  /** The definitions whose `active` line was changed. */
  edited_files: Schema.Array(Schema.String)
})
export const Silence = Schema.Struct({
  service: Schema.String,
  component: MaybeText,
  node: Schema.String,
  /** Null: alerts are sent. */
  until: Time
})
export const Undeployed = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  removed: Schema.Array(Schema.String),
  edited_file: MaybeText
})

const Change = Schema.Struct({ field: Schema.String, from: Schema.String, to: Schema.String })
export const PlanComponent = Schema.Struct({
  component: Schema.String,
  action: Action,
  from_image: MaybeText,
  to_image: MaybeText,
  why: MaybeText,
  changes: Schema.Array(Change)
})
export type PlanComponent = typeof PlanComponent.Type
export const PlanService = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  changes: Schema.Boolean,
  components: Schema.Array(PlanComponent),
  warnings: Schema.Array(Schema.String)
})
export type PlanService = typeof PlanService.Type
export const Plan = Schema.Struct({ services: Schema.Array(PlanService) })

export const DeployComponent = Schema.Struct({
  component: Schema.String,
  action: Action,
  from_image: MaybeText,
  to_image: MaybeText,
  duration_ms: Schema.JsonNumber,
  container_id: MaybeText,
  /** In the order in which they ended. */
  steps: Schema.Array(Schema.Struct({ step: Schema.String, duration_ms: Schema.JsonNumber }))
})
export const DeployService = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  deployment: MaybeText,
  /** `failed`: the agent refused, or its answer never came; `pinned`: skipped, since it was rolled back from. */
  state: Schema.Literal("starting", "succeeded", "rolled_back", "pinned", "failed"),
  duration_ms: Schema.JsonNumber,
  components: Schema.Array(DeployComponent),
  warnings: Schema.Array(Schema.String),
  failure: Schema.NullOr(
    Schema.Struct({ ...Failure.fields, component: MaybeText, last_logs: Schema.Array(Schema.String) })
  )
})
export type DeployService = typeof DeployService.Type
export const Deploy = Schema.Struct({
  services: Schema.Array(DeployService),
  /** The definitions whose image line was changed. */
  edited_files: Schema.Array(Schema.String)
})

export const SyncService = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  /** With `--dry-run`: what it would be. */
  outcome: Schema.Literal("deployed", "started", "stopped", "unchanged", "pinned", "busy", "failed"),
  deployment: MaybeText,
  components: Schema.Array(PlanComponent),
  warnings: Schema.Array(Schema.String),
  /** Why it failed, is busy or was skipped. */
  failure: DeployService.fields.failure
})
export type SyncService = typeof SyncService.Type
export const Unmanaged = Schema.Struct({
  container: Schema.String,
  container_id: Schema.String,
  node: Schema.String,
  /** What `mcp adopt` would take it for. */
  service: Schema.String,
  component: Schema.String,
  image: Schema.String,
  observed: ObservedState
})
export type Unmanaged = typeof Unmanaged.Type
export const PurgedEntry = Schema.Struct({
  service: Schema.String,
  /** Null: the service itself. */
  component: MaybeText,
  node: Schema.String,
  observed: ObservedState,
  /** With `--dry-run`: would be. */
  purged: Schema.Boolean,
  removed_container: MaybeText,
  why: MaybeText,
  next_step: MaybeText
})
export type PurgedEntry = typeof PurgedEntry.Type
export const Purge = Schema.Struct({ dry_run: Schema.Boolean, entries: Schema.Array(PurgedEntry), unreachable_nodes })
export const Sync = Schema.Struct({
  dry_run: Schema.Boolean,
  services: Schema.Array(SyncService),
  unmanaged: Schema.Array(Unmanaged),
  /** Services that a node has and no definition names. */
  not_defined: Schema.Array(Schema.Struct({ service: Schema.String, node: Schema.String })),
  /** With `--prune`. */
  purged: Schema.Array(PurgedEntry),
  unreachable_nodes
})
export type Sync = typeof Sync.Type

export const ImageChange = Schema.Struct({ component: Schema.String, from: Schema.String, to: Schema.String })
export const Rollback = Schema.Struct({
  ...DeployService.fields,
  /** The deployment that it went back to. */
  to: MaybeText,
  only_images: Schema.Boolean,
  images: Schema.Array(ImageChange),
  edited_file: MaybeText
})
export type Rollback = typeof Rollback.Type

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
export const HistoryDiff = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  from: Schema.String,
  to: Schema.String,
  changes: Schema.Boolean,
  components: Schema.Array(PlanComponent)
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

export const Account = Schema.Struct({
  account: Schema.String,
  id: Schema.String,
  type: Schema.Literal("human", "system"),
  roles: Schema.Array(Schema.String),
  expires_at: Schema.Date,
  expires_in_ms: Schema.JsonNumber
})

export const NodeAdded = Schema.Struct({
  node: Schema.String,
  addresses: Schema.Array(Schema.String),
  ca_cert: MaybeText,
  config_file: Schema.String
})
export const NodeRemoved = Schema.Struct({
  node: Schema.String,
  removed: Schema.Boolean,
  config_file: Schema.String,
  /** Services whose definitions still name it. */
  named_by: Schema.Array(Schema.String)
})

export const LoggedOut = Schema.Struct({ token_path: Schema.String, removed: Schema.Boolean })

export const Definition = Schema.Struct({
  service: Schema.String,
  file: Schema.String,
  valid: Schema.Boolean,
  /** One line each, with file, line and column. */
  problems: Schema.Array(Schema.String),
  warnings: Schema.Array(Schema.String),
  /** These are null where the definition is not valid. */
  node: MaybeText,
  active: Schema.NullOr(Schema.Boolean),
  components: Schema.NullOr(Schema.Array(Schema.String))
})
export type Definition = typeof Definition.Type
export const Definitions = Schema.Struct({ dir: Schema.String, definitions: Schema.Array(Definition) })
export const Edited = Schema.Struct({ service: Schema.String, file: Schema.String, changed: Schema.Boolean })
export const AdoptedComponent = Schema.Struct({
  component: Schema.String,
  container: Schema.String,
  container_id: Schema.String,
  image: Schema.String,
  /** `label`: its spec is from its label mcp.definition; `inspect`: from what podman tells. */
  source: Schema.String,
  observed: ObservedState,
  missing_secrets: Schema.Array(Schema.String)
})
export type AdoptedComponent = typeof AdoptedComponent.Type
export const Adopted = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  dry_run: Schema.Boolean,
  components: Schema.Array(AdoptedComponent),
  warnings: Schema.Array(Schema.String)
})
export const SecretUse = Schema.Struct({
  component: Schema.String,
  /** That its container has; null: none. */
  version: MaybeNumber
})
export const SecretSet = Schema.Struct({
  service: Schema.String,
  name: Schema.String,
  node: Schema.String,
  version: Schema.JsonNumber,
  /** False: it had this value already. */
  changed: Schema.Boolean,
  used_by: Schema.Array(SecretUse)
})
export const Secret = Schema.Struct({
  name: Schema.String,
  /** Null: a component needs it, and it is not set. */
  version: MaybeNumber,
  set_at: Time,
  set_by: MaybeText,
  used_by: Schema.Array(SecretUse)
})
export type Secret = typeof Secret.Type
export const Secrets = Schema.Struct({ service: Schema.String, node: Schema.String, secrets: Schema.Array(Secret) })
export const SecretRemoved = Schema.Struct({ service: Schema.String, name: Schema.String, node: Schema.String })
export const Exported = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  format: Schema.Literal("definition", "quadlet"),
  /** `path` where it was written, or null. */
  files: Schema.Array(Schema.Struct({ name: Schema.String, path: MaybeText, text: Schema.String })),
  warnings: Schema.Array(Schema.String)
})
export const Created = Schema.Struct({ service: Schema.String, file: Schema.String })

/** What `service import` made of a compose file, and all that became otherwise. */
export const Imported = Schema.Struct({
  service: Schema.String,
  /** Null with `--dry-run`. */
  file: MaybeText,
  /** The text, with `--dry-run`. */
  definition: MaybeText,
  components: Schema.Array(Schema.String),
  items: Schema.Array(
    Schema.Struct({
      file: Schema.String,
      line: Schema.JsonNumber,
      column: Schema.JsonNumber,
      key: Schema.String,
      /** `advice`: carried over as it is, but worth a look. */
      outcome: Schema.Literal("left_out", "changed", "advice"),
      message: Schema.String
    })
  ),
  /** Commands that are still to be run, in this order. */
  next_steps: Schema.Array(Schema.String)
})

export const LoggedIn = Schema.Struct({ account: Schema.String, expires_at: Schema.Date, token_path: Schema.String })

export const CaMade = Schema.Struct({
  name: Schema.String,
  certificate: Schema.String,
  key: Schema.String,
  expires_at: Schema.Date
})

export const CaIssued = Schema.Struct({
  name: Schema.String,
  addresses: Schema.Array(Schema.String),
  certificate: Schema.String,
  key: Schema.String,
  ca_cert: Schema.String,
  expires_at: Schema.Date
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

const moved = {
  service: Schema.String,
  node: Schema.String,
  /** Below the service's own folder. */
  path: Schema.String,
  local: Schema.String,
  files: Schema.JsonNumber,
  bytes: Schema.JsonNumber,
  /** Of a file that was gone on with: not sent again. */
  resumed_bytes: Schema.JsonNumber,
  took_ms: Schema.JsonNumber,
  skipped: Schema.Array(Schema.Struct({ path: Schema.String, reason: Schema.String }))
}
export const Pushed = Schema.Struct(moved)
export const Pulled = Schema.Struct(moved)

export const ListedFile = Schema.Struct({
  name: Schema.String,
  /** The name's bytes when it is not text. */
  name_base64: MaybeText,
  kind: Schema.Literal("file", "folder", "link", "other"),
  size_bytes: Schema.JsonNumber,
  /** Octal, four digits. */
  mode: Schema.String,
  uid: Schema.JsonNumber,
  gid: Schema.JsonNumber,
  modified_at: Time,
  target: MaybeText
})
export type ListedFile = typeof ListedFile.Type
export const Files = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  path: Schema.String,
  files: Schema.Array(ListedFile)
})

export const PathRemoved = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  path: Schema.String,
  removed: Schema.JsonNumber
})
