import { Schema } from "effect"
import { ServiceSpec, UpdateOrder } from "../../domain/Spec.ts"
import { Action, DeploymentKind, DeploymentState, DesiredState, ObservedState } from "../../domain/State.ts"

/* Rows as SQL has them on the encoded side, as the service has them on the type side. */

const column = <A, I>(schema: Schema.Schema<A, I>, name: string) =>
  Schema.propertySignature(schema).pipe(Schema.fromKey(name))
const nullable = <A, I>(schema: Schema.Schema<A, I>, name: string) =>
  Schema.optionalWith(schema, { nullable: true }).pipe(Schema.fromKey(name))
const flag = Schema.transform(Schema.Number, Schema.Boolean, {
  strict: true,
  decode: (n) => n !== 0,
  encode: (b) => (b ? 1 : 0)
})
const spec = Schema.parseJson(ServiceSpec)
export const encodeSpec = Schema.encodeSync(spec)

const Failure = Schema.parseJson(
  Schema.Struct({
    component: Schema.String,
    reason: Schema.String,
    message: Schema.String,
    lastLogs: Schema.Array(Schema.String)
  })
)
export const encodeFailure = Schema.encodeSync(Failure)

export const ServiceRow = Schema.Struct({
  service: Schema.String,
  spec,
  desired: DesiredState,
  undeploying: flag,
  pinnedFrom: nullable(Schema.String, "pinned_from"),
  updatedAt: column(Schema.Number, "updated_at")
})

export const ComponentRow = Schema.Struct({
  service: Schema.String,
  component: Schema.String,
  desired: DesiredState,
  specHash: column(Schema.String, "spec_hash"),
  generation: Schema.Number,
  containerId: nullable(Schema.String, "container_id"),
  imageId: nullable(Schema.String, "image_id"),
  image: Schema.String,
  observed: ObservedState,
  observedAt: column(Schema.Number, "observed_at")
})

export const DeploymentRow = Schema.Struct({
  id: Schema.String,
  service: Schema.String,
  kind: DeploymentKind,
  spec,
  actor: Schema.String,
  state: DeploymentState,
  switched: flag,
  swept: flag,
  startedAt: column(Schema.Number, "started_at"),
  finishedAt: nullable(Schema.Number, "finished_at"),
  failure: Schema.optionalWith(Failure, { nullable: true }),
  lastError: nullable(Schema.String, "last_error"),
  rollbackTo: nullable(Schema.String, "rollback_to"),
  pinnedFrom: nullable(Schema.String, "pinned_from")
})

export const StepRow = Schema.Struct({
  deployment: Schema.String,
  component: Schema.String,
  action: Action,
  updateOrder: column(UpdateOrder, "update_order"),
  generation: Schema.Number,
  fromImage: nullable(Schema.String, "from_image"),
  imageId: nullable(Schema.String, "image_id"),
  imageDigest: nullable(Schema.String, "image_digest"),
  newContainerId: nullable(Schema.String, "new_container_id"),
  previousContainerId: nullable(Schema.String, "previous_container_id"),
  previousRan: column(flag, "previous_ran")
})

export const PortRow = Schema.Struct({
  port: Schema.Number,
  service: Schema.String,
  component: Schema.String,
  route: Schema.String,
  deployment: Schema.String,
  containerId: nullable(Schema.String, "container_id")
})

export const RestartRow = Schema.Struct({
  service: Schema.String,
  component: Schema.String,
  containerId: column(Schema.String, "container_id"),
  restarts: Schema.Number,
  failures: Schema.Number,
  delayMs: column(Schema.Number, "delay_ms"),
  endedAt: column(Schema.Number, "ended_at"),
  nextAt: nullable(Schema.Number, "next_at"),
  rests: flag
})
