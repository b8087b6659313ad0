import type { SqlClient } from "@effect/sql"
import { Clock, Effect } from "effect"
import type { Registry } from "../../services/Registry.ts"
import { all, firstRow, read, write } from "./queries.ts"
import { ComponentRow, encodeSpec, ServiceRow } from "./rows.ts"

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

export const putComponent = (sql: SqlClient.SqlClient, row: Parameters<Shape["putComponent"]>[0]) =>
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

export const make = (sql: SqlClient.SqlClient) =>
  ({
    services: read(ServiceRow, sql`SELECT * FROM services ORDER BY service`, all),
    service: (service) => read(ServiceRow, sql`SELECT * FROM services WHERE service = ${service}`, firstRow),
    putService: (row) => write(putService(sql, row)),
    removeService: (service) => write(sql`DELETE FROM services WHERE service = ${service}`),
    components: (service) =>
      read(
        ComponentRow,
        service === undefined
          ? sql`SELECT * FROM components ORDER BY service, component`
          : sql`SELECT * FROM components WHERE service = ${service} ORDER BY component`,
        all
      ),
    putComponent: (row) => write(putComponent(sql, row)),
    removeComponent: (service, component) =>
      write(sql`DELETE FROM components WHERE service = ${service} AND component = ${component}`),
    setDesired: (service, component, desired) =>
      write(
        sql.withTransaction(
          component === undefined
            ? Effect.zipRight(
                sql`UPDATE services SET desired = ${desired} WHERE service = ${service}`,
                Effect.asVoid(sql`UPDATE components SET desired = ${desired} WHERE service = ${service}`)
              )
            : Effect.asVoid(
                sql`UPDATE components SET desired = ${desired} WHERE service = ${service} AND component = ${component}`
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
      )
  }) satisfies Partial<Shape>
