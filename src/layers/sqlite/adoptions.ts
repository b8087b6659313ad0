import type { SqlClient } from "@effect/sql"
import { Effect, Schema } from "effect"
import type { Registry } from "../../services/Registry.ts"
import { begin, setState } from "./deployments.ts"
import { read, write } from "./queries.ts"
import { putComponent, putService } from "./services.ts"

type Shape = Registry["Type"]

const Texts = Schema.Struct({ text: Schema.String })
const texts = (rows: ReadonlyArray<typeof Texts.Type>) => rows.map(({ text }) => text)

/** Containers that others made, which are components of a service now. */
export const make = (sql: SqlClient.SqlClient) =>
  ({
    adopt: ({ components, deployment, ports, registries, service, steps }) =>
      write(
        sql.withTransaction(
          Effect.gen(function* () {
            const { id } = deployment
            const started = { ...deployment, service: service.service, kind: "adopt" } as const
            yield* begin(sql, { ...started, rollbackTo: undefined, pinnedFrom: undefined }, steps)
            yield* putService(sql, service)
            for (const component of components) yield* putComponent(sql, component)
            for (const row of ports) {
              yield* sql`INSERT INTO ports (port, service, component, route, deployment, container_id)
                VALUES (${row.port}, ${row.service}, ${row.component}, ${row.route}, ${id}, ${row.containerId ?? null})
                ON CONFLICT (port) DO NOTHING`
            }
            for (const registry of registries) {
              yield* sql`INSERT INTO adopted_registries (service, registry) VALUES (${service.service}, ${registry})
                ON CONFLICT (service, registry) DO NOTHING`
            }
            yield* setState(sql, id, "succeeded", undefined)
            yield* sql`UPDATE deployments SET swept = 1 WHERE id = ${id}`
          })
        )
      ),
    adoptedRegistries: (service) =>
      read(
        Texts,
        sql`SELECT registry AS text FROM adopted_registries WHERE service = ${service} ORDER BY registry`,
        texts
      ),
    replaced: (service) =>
      read(
        Texts,
        sql`SELECT DISTINCT s.previous_container_id AS text
            FROM deployment_steps s JOIN deployments d ON d.id = s.deployment
            WHERE ${service ?? ""} IN ('', d.service) AND d.swept = 0 AND d.state = 'succeeded'
              AND s.action = 'replace' AND s.previous_container_id IS NOT NULL`,
        texts
      )
  }) satisfies Partial<Shape>
