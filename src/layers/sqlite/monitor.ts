import type { SqlClient } from "@effect/sql"
import { Schema } from "effect"
import { Watched } from "../../domain/Alerting.ts"
import type { Registry } from "../../services/Registry.ts"
import { all, read, write } from "./queries.ts"

const WatchedRow = Schema.Struct({
  service: Schema.String,
  component: Schema.String,
  state: Schema.parseJson(Watched)
})
const encodeWatched = Schema.encodeSync(Schema.parseJson(Watched))

const SilenceRow = Schema.Struct({
  service: Schema.String,
  component: Schema.String,
  until: Schema.Number,
  actor: Schema.String
})

/** What the monitor must not forget: what was told of drift, and what is to be kept quiet. */
export const make = (sql: SqlClient.SqlClient) =>
  ({
    watched: read(WatchedRow, sql`SELECT * FROM watched ORDER BY service, component`, all),
    putWatched: (service, component, state) =>
      write(
        state === undefined
          ? sql`DELETE FROM watched WHERE service = ${service} AND component = ${component}`
          : sql`INSERT INTO watched (service, component, state)
                VALUES (${service}, ${component}, ${encodeWatched(state)})
                ON CONFLICT (service, component) DO UPDATE SET state = excluded.state`
      ),
    silences: read(SilenceRow, sql`SELECT * FROM silences ORDER BY service, component`, all),
    putSilence: ({ actor, component, service, until }) =>
      write(sql`INSERT INTO silences (service, component, until, actor)
                VALUES (${service}, ${component}, ${until}, ${actor})
                ON CONFLICT (service, component) DO UPDATE SET until = excluded.until, actor = excluded.actor`),
    dropSilence: (service, component) =>
      write(sql`DELETE FROM silences WHERE service = ${service} AND component = ${component}`)
  }) satisfies Partial<Registry["Type"]>
