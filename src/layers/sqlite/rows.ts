import { ParseResult, Schema } from "effect"
import { SecretVersions } from "../../domain/Secret.ts"
import { ServiceSpec, UpdateOrder } from "../../domain/Spec.ts"
import {
  Action,
  DeploymentKind,
  DeploymentState,
  DesiredState,
  ObservedState,
  RestoreState
} from "../../domain/State.ts"

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
const storedSpec = Schema.parseJson(ServiceSpec)
export const encodeSpec = Schema.encodeSync(storedSpec)

/** As many specs as are read again and again on a full node; each is decoded once, as long as its text is the same. */
const decodedSpecs = new Map<string, ServiceSpec>()
const keptSpecs = 2_048

const decodeSpec = (text: string) => {
  const known = decodedSpecs.get(text)
  if (known !== undefined) return ParseResult.succeed(known)
  return ParseResult.map(ParseResult.decodeUnknown(storedSpec)(text), (decoded) => {
    if (decodedSpecs.size >= keptSpecs) decodedSpecs.clear()
    decodedSpecs.set(text, decoded)
    return decoded
  })
}

// What was decoded needs no second look: the type side takes it as it is.
const spec = Schema.transformOrFail(
  Schema.String,
  Schema.declare((_: unknown): _ is ServiceSpec => true),
  { strict: true, decode: decodeSpec, encode: (value) => ParseResult.succeed(encodeSpec(value)) }
)

const Failure = Schema.parseJson(
  Schema.Struct({
    component: Schema.String,
    reason: Schema.String,
    message: Schema.String,
    lastLogs: Schema.Array(Schema.String)
  })
)
export const encodeFailure = Schema.encodeSync(Failure)

const versions = Schema.parseJson(SecretVersions)
export const encodeVersions = Schema.encodeSync(versions)

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
  observedAt: column(Schema.Number, "observed_at"),
  podmanRestart: nullable(Schema.String, "podman_restart"),
  secrets: versions
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
  previousRan: column(flag, "previous_ran"),
  secrets: versions
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

export const PulledImageRow = Schema.Struct({
  imageId: column(Schema.String, "image_id"),
  reference: Schema.String,
  waits: flag
})

export const SecretRow = Schema.Struct({
  service: Schema.String,
  secret: Schema.String,
  version: Schema.Number,
  ciphertext: nullable(Schema.String, "ciphertext"),
  actor: Schema.String,
  createdAt: column(Schema.Number, "created_at")
})

const names = Schema.parseJson(Schema.Array(Schema.String))
export const encodeNames = Schema.encodeSync(names)

export const RestoreRow = Schema.Struct({
  id: Schema.String,
  service: Schema.String,
  snapshot: Schema.String,
  actor: Schema.String,
  state: RestoreState,
  running: names,
  startedAt: column(Schema.Number, "started_at"),
  failure: Schema.optionalWith(Failure, { nullable: true })
})
