import type { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import type { Registry } from "../../services/Registry.ts"
import { record } from "./events.ts"
import { all, read, write } from "./queries.ts"
import { encodeFailure, encodeNames, RestoreRow } from "./rows.ts"

type Shape = Registry["Type"]

/** Restores of services' data that are not over. */
export const make = (sql: SqlClient.SqlClient) =>
  ({
    restores: read(RestoreRow, sql`SELECT * FROM restores ORDER BY id`, all),
    putRestore: (row, event) =>
      write(
        sql.withTransaction(
          Effect.gen(function* () {
            const failure = row.failure === undefined ? null : encodeFailure(row.failure)
            yield* sql`
              INSERT INTO restores (id, service, snapshot, actor, state, running, started_at, failure)
              VALUES (${row.id}, ${row.service}, ${row.snapshot}, ${row.actor}, ${row.state},
                ${encodeNames(row.running)}, ${row.startedAt}, ${failure})
              ON CONFLICT (id) DO UPDATE SET state = excluded.state, running = excluded.running,
                failure = excluded.failure`
            if (event !== undefined) yield* record(sql, event)
          })
        )
      ),
    dropRestore: (id) => write(sql`DELETE FROM restores WHERE id = ${id}`)
  }) satisfies Partial<Shape>
