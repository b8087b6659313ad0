import type { SqlClient } from "@effect/sql"
import { Clock, Effect, Schema } from "effect"
import type { DeploymentState } from "../../domain/State.ts"
import type { DeploymentFailure, Registry } from "../../services/Registry.ts"
import { noting } from "./events.ts"
import { all, firstRow, read, write } from "./queries.ts"
import { DeploymentRow, encodeFailure, encodeSpec, encodeVersions, StepRow } from "./rows.ts"
import { putComponent, putService } from "./services.ts"

type Shape = Registry["Type"]

const finished: ReadonlySet<DeploymentState> = new Set(["succeeded", "rolled_back"])

export const setState = (
  sql: SqlClient.SqlClient,
  deployment: string,
  state: DeploymentState,
  failure: DeploymentFailure | undefined
) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* noting(
      sql,
      sql`SELECT service, '' AS component, kind, state AS from_state, ${state} AS to_state,
            ${failure?.message ?? ""} AS message, actor FROM deployments WHERE id = ${deployment}`,
      failure?.reason
    )
    yield* sql`UPDATE deployments SET state = ${state}, finished_at = ${finished.has(state) ? now : null},
        failure = COALESCE(${failure ? encodeFailure(failure) : null}, failure), last_error = NULL
        WHERE id = ${deployment}`
  })

/** A deployment with its steps, in the state `starting`; to be run in a transaction. */
export const begin = (sql: SqlClient.SqlClient, ...[row, steps]: Parameters<Shape["beginDeployment"]>) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* sql`INSERT INTO deployments
        (id, service, kind, spec, actor, state, rollback_to, pinned_from, started_at)
      VALUES (${row.id}, ${row.service}, ${row.kind}, ${encodeSpec(row.spec)}, ${row.actor}, 'starting',
        ${row.rollbackTo ?? null}, ${row.pinnedFrom ?? null}, ${now})`
    yield* noting(
      sql,
      sql`SELECT service, '' AS component, kind, '' AS from_state, state AS to_state, '' AS message, actor
          FROM deployments WHERE id = ${row.id}`
    )
    for (const step of steps) {
      yield* sql`INSERT INTO deployment_steps (deployment, component, action, update_order, generation,
          from_image, image_id, image_digest, previous_container_id, previous_ran, secrets)
        VALUES (${row.id}, ${step.component}, ${step.action}, ${step.updateOrder}, ${step.generation},
          ${step.fromImage ?? null}, ${step.imageId ?? null}, ${step.imageDigest ?? null},
          ${step.previousContainerId ?? null}, ${step.previousRan ? 1 : 0},
          ${encodeVersions(step.secrets)})`
    }
  })

export const make = (sql: SqlClient.SqlClient) =>
  ({
    beginDeployment: (row, steps) => write(sql.withTransaction(begin(sql, row, steps))),
    setNewContainer: (deployment, component, containerId) =>
      write(sql`UPDATE deployment_steps SET new_container_id = ${containerId}
                WHERE deployment = ${deployment} AND component = ${component}`),
    setDeploymentState: (deployment, state, failure) =>
      write(sql.withTransaction(setState(sql, deployment, state, failure))),
    setSwitched: (deployment) => write(sql`UPDATE deployments SET switched = 1 WHERE id = ${deployment}`),
    setUnswept: (id) => write(sql`UPDATE deployments SET swept = 0 WHERE id = ${id}`),
    setSwept: (service) =>
      write(sql`UPDATE deployments SET swept = 1 WHERE service = ${service} AND swept = 0
                AND state IN ('succeeded', 'rolled_back')`),
    setLastError: (deployment, lastError) =>
      write(sql`UPDATE deployments SET last_error = ${lastError} WHERE id = ${deployment}`),
    commitDeployment: (deployment, service, components) =>
      write(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* putService(sql, service)
            for (const component of components) yield* putComponent(sql, component)
            yield* setState(sql, deployment, "succeeded", undefined)
          })
        )
      ),
    deployment: (id) => read(DeploymentRow, sql`SELECT * FROM deployments WHERE id = ${id}`, firstRow),
    deployments: (service, limit) =>
      read(
        DeploymentRow,
        sql`SELECT * FROM deployments WHERE service = ${service} ORDER BY id DESC LIMIT ${limit}`,
        all
      ),
    lastDeployments: (limit) =>
      read(
        DeploymentRow,
        sql`SELECT * FROM (
              SELECT d.*, ROW_NUMBER() OVER (PARTITION BY service ORDER BY id DESC) AS age FROM deployments d
            ) AS aged WHERE age <= ${limit} ORDER BY id DESC`,
        all
      ),
    revisions: (service, limit) =>
      read(
        DeploymentRow,
        sql`SELECT * FROM deployments WHERE service = ${service} AND state = 'succeeded' AND kind <> 'restart'
            ORDER BY id DESC LIMIT ${limit}`,
        all
      ),
    unfinishedDeployments: read(
      DeploymentRow,
      sql`SELECT * FROM deployments WHERE state NOT IN ('succeeded', 'rolled_back') ORDER BY id`,
      all
    ),
    unswept: read(
      Schema.Struct({ service: Schema.String }),
      sql`SELECT DISTINCT service FROM deployments WHERE swept = 0 AND state IN ('succeeded', 'rolled_back')
          ORDER BY service`,
      (rows) => rows.map((row) => row.service)
    ),
    steps: (deployment) =>
      read(StepRow, sql`SELECT * FROM deployment_steps WHERE deployment = ${deployment} ORDER BY component`, all)
  }) satisfies Partial<Shape>
