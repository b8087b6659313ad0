import type { SqlClient } from "@effect/sql"
import { Clock, Effect, Schema } from "effect"
import type { Registry } from "../../services/Registry.ts"
import { all, read, write } from "./queries.ts"
import { PortRow, PulledImageRow, RestartRow } from "./rows.ts"

type Shape = Registry["Type"]

const Ids = Schema.Struct({ id: Schema.String })

/** What services hold besides containers: host ports, restarts that are due, images. */
export const make = (sql: SqlClient.SqlClient) =>
  ({
    ports: (service) =>
      read(
        PortRow,
        service === undefined
          ? sql`SELECT * FROM ports ORDER BY port`
          : sql`SELECT * FROM ports WHERE service = ${service} ORDER BY port`,
        all
      ),
    reservePort: (row) =>
      read(
        Schema.Struct({ port: Schema.Number }),
        sql`INSERT INTO ports (port, service, component, route, deployment)
            VALUES (${row.port}, ${row.service}, ${row.component}, ${row.route}, ${row.deployment})
            ON CONFLICT (port) DO NOTHING RETURNING port`,
        (rows) => rows.length === 1
      ),
    bindPorts: (deployment, component, containerId) =>
      write(sql`UPDATE ports SET container_id = ${containerId}
                WHERE deployment = ${deployment} AND component = ${component} AND container_id IS NULL`),
    releasePorts: (containerId) => write(sql`DELETE FROM ports WHERE container_id = ${containerId}`),
    releaseStrayPorts: (service) =>
      write(sql`DELETE FROM ports WHERE service = ${service} AND (container_id IS NULL OR container_id NOT IN
                (SELECT container_id FROM components WHERE service = ${service} AND container_id IS NOT NULL))`),
    restarts: read(RestartRow, sql`SELECT * FROM restarts ORDER BY service, component`, all),
    putRestart: (row) =>
      write(
        sql`INSERT INTO restarts (service, component, container_id, restarts, failures, delay_ms, ended_at, next_at,
            rests)
          VALUES (${row.service}, ${row.component}, ${row.containerId}, ${row.restarts}, ${row.failures},
            ${row.delayMs}, ${row.endedAt}, ${row.nextAt ?? null}, ${row.rests ? 1 : 0})
          ON CONFLICT (service, component) DO UPDATE SET container_id = excluded.container_id,
            restarts = excluded.restarts, failures = excluded.failures, delay_ms = excluded.delay_ms,
            ended_at = excluded.ended_at, next_at = excluded.next_at, rests = excluded.rests`
      ),
    dropRestart: (service, component) =>
      write(sql`DELETE FROM restarts WHERE service = ${service} AND component = ${component}`),
    pulledImages: read(PulledImageRow, sql`SELECT * FROM pulled_images ORDER BY pulled_at`, all),
    noteLoadedImage: (imageId, reference) =>
      write(
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            sql`INSERT INTO pulled_images (image_id, reference, pulled_at, waits)
                VALUES (${imageId}, ${reference}, ${now}, 1)
                ON CONFLICT (image_id) DO UPDATE SET reference = excluded.reference, waits = 1`
        )
      ),
    noteImageDeployed: (imageId) => write(sql`UPDATE pulled_images SET waits = 0 WHERE image_id = ${imageId}`),
    notePulledImage: (imageId, reference) =>
      write(
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            sql`INSERT INTO pulled_images (image_id, reference, pulled_at) VALUES (${imageId}, ${reference}, ${now})
                ON CONFLICT (image_id) DO NOTHING`
        )
      ),
    forgetPulledImage: (imageId) => write(sql`DELETE FROM pulled_images WHERE image_id = ${imageId}`),
    imagesInUse: (revisions) =>
      read(
        Ids,
        sql`SELECT image_id AS id FROM components WHERE image_id IS NOT NULL
            UNION
            SELECT s.image_id FROM deployment_steps s JOIN (
              SELECT d.id, ROW_NUMBER() OVER (PARTITION BY d.service ORDER BY d.id DESC) AS age
              FROM deployments d JOIN services v ON v.service = d.service
              WHERE d.state = 'succeeded' AND d.kind <> 'restart'
            ) kept ON kept.id = s.deployment
            WHERE kept.age <= ${revisions} AND s.image_id IS NOT NULL`,
        (rows) => rows.map((row) => row.id)
      )
  }) satisfies Partial<Shape>
