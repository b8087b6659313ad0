import type { SqlClient } from "@effect/sql"
import { Clock, Effect } from "effect"
import type { ObservedState } from "../../domain/State.ts"
import type { Registry } from "../../services/Registry.ts"
import { noting } from "./events.ts"
import { all, firstRow, read, write } from "./queries.ts"
import { ComponentRow, encodeSpec, encodeVersions, ServiceRow } from "./rows.ts"

type Shape = Registry["Type"]

export const putService = (sql: SqlClient.SqlClient, row: Parameters<Shape["putService"]>[0]) =>
  Effect.flatMap(
    Clock.currentTimeMillis,
    (now) =>
      sql`INSERT INTO services (service, spec, desired, undeploying, pinned_from, updated_at)
        VALUES (${row.service}, ${encodeSpec(row.spec)}, ${row.desired}, ${row.undeploying ? 1 : 0},
          ${row.pinnedFrom ?? null}, ${now})
        ON CONFLICT (service) DO UPDATE SET spec = excluded.spec, desired = excluded.desired,
          undeploying = excluded.undeploying, pinned_from = excluded.pinned_from, updated_at = excluded.updated_at`
  )

/** What components of a service are about to be; in the transaction in which they become it. */
const observing = (
  sql: SqlClient.SqlClient,
  service: string,
  component: string | undefined,
  observed: ObservedState,
  message = ""
) =>
  noting(
    sql,
    sql`SELECT service, component, 'observed' AS kind, observed AS from_state, ${observed} AS to_state,
          ${message} AS message, '' AS actor
        FROM components WHERE service = ${service} AND ${component ?? ""} IN ('', component)`
  )

export const putComponent = (sql: SqlClient.SqlClient, row: Parameters<Shape["putComponent"]>[0]) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* observing(sql, row.service, row.component, row.observed)
    yield* sql`INSERT INTO components (service, component, desired, spec_hash, generation, container_id, image_id, image,
          observed, observed_at, podman_restart, secrets)
        VALUES (${row.service}, ${row.component}, ${row.desired}, ${row.specHash}, ${row.generation},
          ${row.containerId ?? null}, ${row.imageId ?? null}, ${row.image}, ${row.observed}, ${now},
          ${row.podmanRestart ?? null}, ${encodeVersions(row.secrets)})
        ON CONFLICT (service, component) DO UPDATE SET desired = excluded.desired, spec_hash = excluded.spec_hash,
          generation = excluded.generation, container_id = excluded.container_id, image_id = excluded.image_id,
          image = excluded.image, observed = excluded.observed, observed_at = excluded.observed_at,
          podman_restart = excluded.podman_restart, secrets = excluded.secrets`
  })

const setObserved = (sql: SqlClient.SqlClient, seen: Parameters<Shape["observe"]>[0][number]) =>
  Effect.gen(function* () {
    const { component, message, observed, service } = seen
    const now = yield* Clock.currentTimeMillis
    yield* observing(sql, service, component, observed, message)
    yield* sql`UPDATE components SET observed = ${observed}, observed_at = ${now}
               WHERE service = ${service} AND component = ${component} AND observed <> ${observed}`
  })

export const make = (sql: SqlClient.SqlClient) =>
  ({
    services: read(ServiceRow, sql`SELECT * FROM services ORDER BY service`, all),
    service: (service) => read(ServiceRow, sql`SELECT * FROM services WHERE service = ${service}`, firstRow),
    putService: (row) => write(putService(sql, row)),
    removeService: (service) =>
      write(
        sql.withTransaction(
          Effect.zipRight(
            observing(sql, service, undefined, "removed"),
            sql`DELETE FROM services WHERE service = ${service}`
          )
        )
      ),
    components: (service) =>
      read(
        ComponentRow,
        service === undefined
          ? sql`SELECT * FROM components ORDER BY service, component`
          : sql`SELECT * FROM components WHERE service = ${service} ORDER BY component`,
        all
      ),
    putComponent: (row) => write(sql.withTransaction(putComponent(sql, row))),
    removeComponent: (service, component) =>
      write(
        sql.withTransaction(
          Effect.zipRight(
            observing(sql, service, component, "removed"),
            sql`DELETE FROM components WHERE service = ${service} AND component = ${component}`
          )
        )
      ),
    setDesired: (service, component, desired, actor = "") =>
      write(
        sql.withTransaction(
          Effect.gen(function* () {
            const whole = component === undefined
            yield* noting(
              sql,
              sql`SELECT service, ${component ?? ""} AS component, 'desired' AS kind, desired AS from_state,
                    ${desired} AS to_state, '' AS message, ${actor} AS actor
                  FROM ${sql(whole ? "services" : "components")}
                  WHERE service = ${service} AND ${whole ? sql`TRUE` : sql`component = ${component}`}`
            )
            if (whole) yield* sql`UPDATE services SET desired = ${desired} WHERE service = ${service}`
            yield* sql`UPDATE components SET desired = ${desired}
                       WHERE service = ${service} AND ${component ?? ""} IN ('', component)`
          })
        )
      ),
    setObserved: (service, component, observed) =>
      write(sql.withTransaction(setObserved(sql, { service, component, observed, message: "" }))),
    observe: (seen) =>
      write(sql.withTransaction(Effect.forEach(seen, (one) => setObserved(sql, one), { discard: true })))
  }) satisfies Partial<Shape>
