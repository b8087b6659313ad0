import { chmodSync, existsSync, mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { Migrator, SqlClient, type SqlError } from "@effect/sql"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Cause, Clock, Effect, Layer, Option, Schema } from "effect"
import { ServiceSpec } from "../domain/Spec.ts"
import { Action, DeploymentState, DesiredState, ObservedState } from "../domain/State.ts"
import * as Ulid from "../domain/Ulid.ts"
import { Registry } from "../services/Registry.ts"
import { type RegistryLocked, RegistryTooNew, RegistryUnavailable } from "../services/RegistryError.ts"
import * as Lock from "./sqlite/lock.ts"
import { migrations, schemaVersion } from "./sqlite/migrations.ts"

const reasonOf = (error: unknown): string => {
  const cause = typeof error === "object" && error !== null && "cause" in error ? error.cause : undefined
  return cause instanceof Error ? cause.message : error instanceof Error ? error.message : String(error)
}
const unavailable = (operation: string) => (error: unknown) =>
  new RegistryUnavailable({ operation, why: reasonOf(error), cause: error })

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { nullable: true })
const flag = Schema.transform(Schema.Number, Schema.Boolean, {
  strict: true,
  decode: (n) => n !== 0,
  encode: (b) => (b ? 1 : 0)
})
const spec = Schema.parseJson(ServiceSpec)

const ServiceRow = Schema.Struct({
  service: Schema.String,
  spec,
  desired: DesiredState,
  undeploying: flag,
  updatedAt: Schema.propertySignature(Schema.Number).pipe(Schema.fromKey("updated_at"))
})
const ComponentRow = Schema.Struct({
  service: Schema.String,
  component: Schema.String,
  desired: DesiredState,
  specHash: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("spec_hash")),
  generation: Schema.Number,
  containerId: optional(Schema.String).pipe(Schema.fromKey("container_id")),
  imageId: optional(Schema.String).pipe(Schema.fromKey("image_id")),
  image: Schema.String,
  observed: ObservedState,
  observedAt: Schema.propertySignature(Schema.Number).pipe(Schema.fromKey("observed_at"))
})
const DeploymentRow = Schema.Struct({
  id: Schema.String,
  service: Schema.String,
  spec,
  actor: Schema.String,
  state: DeploymentState,
  startedAt: Schema.propertySignature(Schema.Number).pipe(Schema.fromKey("started_at")),
  finishedAt: optional(Schema.Number).pipe(Schema.fromKey("finished_at")),
  error: optional(Schema.String)
})
const StepRow = Schema.Struct({
  deployment: Schema.String,
  component: Schema.String,
  action: Action,
  newContainerId: optional(Schema.String).pipe(Schema.fromKey("new_container_id")),
  previousContainerId: optional(Schema.String).pipe(Schema.fromKey("previous_container_id")),
  previousRan: Schema.propertySignature(flag).pipe(Schema.fromKey("previous_ran"))
})

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  const read = <A, I, B>(
    rows: Schema.Schema<A, I>,
    query: Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>,
    pick: (rows: ReadonlyArray<A>) => B
  ) =>
    query.pipe(
      Effect.flatMap(Schema.decodeUnknown(Schema.Array(rows))),
      Effect.map((rows) => pick(rows)),
      Effect.mapError(unavailable("read"))
    )
  const write = (query: Effect.Effect<unknown, SqlError.SqlError>) =>
    query.pipe(Effect.asVoid, Effect.mapError(unavailable("written")))
  const all = <A>(rows: ReadonlyArray<A>) => rows
  const firstRow = <A>(rows: ReadonlyArray<A>) => Option.fromNullable(rows[0])
  const encodeSpec = Schema.encodeSync(spec)

  const [meta] = yield* sql<{ value: string }>`SELECT value FROM meta WHERE key = 'registry_id'`
  const id = meta?.value ?? (yield* Ulid.make)
  if (!meta) yield* sql`INSERT INTO meta (key, value) VALUES ('registry_id', ${id})`

  const putService = (row: Parameters<Registry["Type"]["putService"]>[0]) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) =>
        sql`INSERT INTO services (service, spec, desired, undeploying, updated_at)
          VALUES (${row.service}, ${encodeSpec(row.spec)}, ${row.desired}, ${row.undeploying ? 1 : 0}, ${now})
          ON CONFLICT (service) DO UPDATE SET spec = excluded.spec, desired = excluded.desired,
            undeploying = excluded.undeploying, updated_at = excluded.updated_at`
    )
  const putComponent = (row: Parameters<Registry["Type"]["putComponent"]>[0]) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) =>
        sql`INSERT INTO components (service, component, desired, spec_hash, generation, container_id, image_id, image,
            observed, observed_at)
          VALUES (${row.service}, ${row.component}, ${row.desired}, ${row.specHash}, ${row.generation},
            ${row.containerId ?? null}, ${row.imageId ?? null}, ${row.image}, ${row.observed}, ${now})
          ON CONFLICT (service, component) DO UPDATE SET desired = excluded.desired, spec_hash = excluded.spec_hash,
            generation = excluded.generation, container_id = excluded.container_id, image_id = excluded.image_id,
            image = excluded.image, observed = excluded.observed, observed_at = excluded.observed_at`
    )
  const finished: ReadonlySet<DeploymentState> = new Set(["succeeded", "rolled_back"])
  const setDeploymentState = (deployment: string, state: DeploymentState, error?: string) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) =>
        sql`UPDATE deployments SET state = ${state}, finished_at = ${finished.has(state) ? now : null},
            error = COALESCE(${error ?? null}, error) WHERE id = ${deployment}`
    )

  return Registry.of({
    id,
    services: read(ServiceRow, sql`SELECT * FROM services ORDER BY service`, all),
    service: (service) => read(ServiceRow, sql`SELECT * FROM services WHERE service = ${service}`, firstRow),
    putService: (row) => write(putService(row)),
    removeService: (service) => write(sql`DELETE FROM services WHERE service = ${service}`),
    components: (service) =>
      read(
        ComponentRow,
        service === undefined
          ? sql`SELECT * FROM components ORDER BY service, component`
          : sql`SELECT * FROM components WHERE service = ${service} ORDER BY component`,
        all
      ),
    putComponent: (row) => write(putComponent(row)),
    removeComponent: (service, component) =>
      write(sql`DELETE FROM components WHERE service = ${service} AND component = ${component}`),
    setDesired: (service, component, desired) =>
      write(
        sql.withTransaction(
          component === undefined
            ? Effect.zipRight(
                sql`UPDATE services SET desired = ${desired} WHERE service = ${service}`,
                sql`UPDATE components SET desired = ${desired} WHERE service = ${service}`
              )
            : Effect.map(
                sql`UPDATE components SET desired = ${desired} WHERE service = ${service} AND component = ${component}`,
                (rows) => rows
              )
        )
      ),
    setObserved: (service, component, observed) =>
      write(
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            sql`UPDATE components SET observed = ${observed}, observed_at = ${now}
                WHERE service = ${service} AND component = ${component} AND observed <> ${observed}`
        )
      ),
    beginDeployment: (row, steps) =>
      write(
        sql.withTransaction(
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            yield* sql`INSERT INTO deployments (id, service, spec, actor, state, started_at)
              VALUES (${row.id}, ${row.service}, ${encodeSpec(row.spec)}, ${row.actor}, 'starting', ${now})`
            for (const step of steps) {
              yield* sql`INSERT INTO deployment_steps
                  (deployment, component, action, previous_container_id, previous_ran)
                VALUES (${row.id}, ${step.component}, ${step.action}, ${step.previousContainerId ?? null},
                  ${step.previousRan ? 1 : 0})`
            }
          })
        )
      ),
    setNewContainer: (deployment, component, containerId) =>
      write(sql`UPDATE deployment_steps SET new_container_id = ${containerId}
                WHERE deployment = ${deployment} AND component = ${component}`),
    setDeploymentState: (deployment, state, error) => write(setDeploymentState(deployment, state, error)),
    commitDeployment: (deployment, service, components) =>
      write(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* putService(service)
            for (const component of components) yield* putComponent(component)
            yield* setDeploymentState(deployment, "succeeded")
          })
        )
      ),
    deployments: (service, limit) =>
      read(
        DeploymentRow,
        sql`SELECT * FROM deployments WHERE service = ${service} ORDER BY id DESC LIMIT ${limit}`,
        all
      ),
    unfinishedDeployments: read(
      DeploymentRow,
      sql`SELECT * FROM deployments WHERE state NOT IN ('succeeded', 'rolled_back') ORDER BY id`,
      all
    ),
    steps: (deployment) =>
      read(StepRow, sql`SELECT * FROM deployment_steps WHERE deployment = ${deployment} ORDER BY component`, all)
  })
})

/** Refuses a database that a newer program has migrated, before touching it. */
const migrate = (path: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`PRAGMA synchronous = FULL`
    yield* sql`PRAGMA foreign_keys = ON`
    const known = yield* sql`SELECT name FROM sqlite_master WHERE name = 'effect_sql_migrations'`
    if (known.length > 0) {
      const [row] = yield* sql<{ found: number }>`SELECT MAX(migration_id) AS found FROM effect_sql_migrations`
      if (row && row.found > schemaVersion) {
        return yield* new RegistryTooNew({ path, found: row.found, known: schemaVersion })
      }
    }
    yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations) })
  }).pipe(Effect.catchTags({ SqlError: unavailable("opened"), MigrationError: unavailable("migrated") }))

/** SQLite at `path` (made with mode 0600, its folder 0700), locked for this process alone. */
export const layer = (path: string): Layer.Layer<Registry, RegistryLocked | RegistryTooNew | RegistryUnavailable> => {
  const prepare = Effect.try({
    try: () => mkdirSync(dirname(path), { recursive: true, mode: 0o700 }),
    catch: unavailable("opened")
  }).pipe(Effect.zipRight(Lock.hold(path)))
  const restrict = Effect.sync(() => {
    for (const suffix of ["", "-wal", "-shm", ".lock"]) if (existsSync(path + suffix)) chmodSync(path + suffix, 0o600)
  })
  // The client opens the file while the layer is built and throws what SQLite says: a file that is no database, say.
  const client = SqliteClient.layer({ filename: path }).pipe(
    Layer.catchAllCause((cause) => Layer.fail(unavailable("opened")(Cause.squash(cause))))
  )
  return Layer.effect(Registry, Effect.catchTag(make, "SqlError", unavailable("opened"))).pipe(
    Layer.provide(Layer.effectDiscard(Effect.zipRight(migrate(path), restrict))),
    Layer.provide(client),
    Layer.provide(Layer.scopedDiscard(prepare))
  )
}
