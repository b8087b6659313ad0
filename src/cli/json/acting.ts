import { Schema } from "effect"
import { Action, ObservedState } from "../../domain/State.ts"
import { MaybeText, Time, unreachable_nodes } from "./fields.ts"

/* What commands print that change what runs. */

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

export const HistoryDiff = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  from: Schema.String,
  to: Schema.String,
  changes: Schema.Boolean,
  components: Schema.Array(PlanComponent)
})

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

export const LoadedImage = Schema.Struct({
  node: Schema.String,
  image_id: Schema.String,
  /** The node had this very image already. */
  was_there: Schema.Boolean,
  layers: Schema.JsonNumber,
  /** Of the layers, those that the node lacked. */
  sent_layers: Schema.JsonNumber,
  sent_bytes: Schema.JsonNumber,
  took_ms: Schema.JsonNumber
})
export type LoadedImage = typeof LoadedImage.Type

export const BuiltImage = Schema.Struct({
  /** The key in `[build.images]`. */
  image: Schema.String,
  reference: Schema.String,
  components: Schema.Array(Schema.String),
  dockerfile: Schema.String,
  /** `skipped`: its image registry has it already. */
  result: Schema.Literal("built", "pushed", "loaded", "skipped", "failed"),
  /** As the image registry has it; null where nothing was pushed, or podman does not tell. */
  digest: MaybeText,
  /** Null where it was not loaded. */
  loaded: Schema.NullOr(LoadedImage),
  failure: Schema.NullOr(Failure)
})
export type BuiltImage = typeof BuiltImage.Type

export const BuildResult = Schema.Struct({ service: Schema.String, images: Schema.Array(BuiltImage) })
