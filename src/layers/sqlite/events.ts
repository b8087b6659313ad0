import type { SqlClient, Statement } from "@effect/sql"
import { Clock, Effect, PubSub, Schema } from "effect"
import { EventKind } from "../../domain/State.ts"
import type { NewEvent, Registry } from "../../services/Registry.ts"
import { all, read, write } from "./queries.ts"

type Shape = Registry["Type"]

/** Numbered in the order in which they are written: a reader that has seen one asks for those after it. */
export const EventRow = Schema.Struct({
  id: Schema.Number,
  at: Schema.Number,
  service: Schema.String,
  component: Schema.String,
  kind: EventKind,
  from: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("from_state")),
  to: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("to_state")),
  message: Schema.String,
  reason: Schema.String,
  actor: Schema.String
})

/** Columns of an event that a query answers, in this order. */
const columns = ["service", "component", "kind", "from_state", "to_state", "message", "actor"]

/**
 * Writes an event for each row of a query over what is about to change; to be run in the transaction of the change. A row
 * that already is as it will be makes none.
 */
export const noting = (sql: SqlClient.SqlClient, changing: Statement.Fragment, reason = "") =>
  Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => sql`
      INSERT INTO events (id, at, reason, ${sql.literal(columns.join(", "))})
      SELECT (SELECT COALESCE(MAX(id), 0) FROM events) + ROW_NUMBER() OVER (ORDER BY component), ${now}, ${reason},
        ${sql.literal(columns.join(", "))}
      FROM (${changing}) AS changing WHERE from_state <> to_state`
  )

/** One event; one that tells of no change is left out. */
export const record = (sql: SqlClient.SqlClient, event: NewEvent) =>
  noting(
    sql,
    sql`SELECT ${event.service} AS service, ${event.component} AS component, ${event.kind} AS kind,
          ${event.from} AS from_state, ${event.to} AS to_state, ${event.message} AS message, ${event.actor} AS actor`,
    event.reason
  )

/** Operations that write events; each, once it is done, tells so. */
const writers: ReadonlySet<string> = new Set<keyof Shape>([
  "putComponent",
  "removeComponent",
  "removeService",
  "setDesired",
  "setObserved",
  "observe",
  "beginDeployment",
  "setDeploymentState",
  "commitDeployment",
  "recordEvent",
  "putRestore"
])

/** Tells those who wait for events; whoever is slow is told once. */
export const hub = Effect.gen(function* () {
  const written = yield* Effect.acquireRelease(PubSub.sliding<void>(1), PubSub.shutdown)
  const tell = Effect.asVoid(written.publish())
  return {
    eventsWritten: written.subscribe,
    telling: <A extends object>(operations: A): A =>
      Object.fromEntries(
        Object.entries(operations).map(([name, operation]) => [
          name,
          writers.has(name)
            ? (...args: ReadonlyArray<unknown>) =>
                Effect.zipLeft(
                  (operation as (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown>)(...args),
                  tell
                )
            : operation
        ])
        // Each operation keeps its type: only a word follows it.
      ) as A
  }
})

export const make = (sql: SqlClient.SqlClient) =>
  ({
    recordEvent: (event) => write(record(sql, event)),
    events: ({ after, component, limit, service, since }) =>
      read(
        EventRow,
        sql`SELECT * FROM (
              SELECT * FROM events
              WHERE id > ${after} AND at >= ${since} AND ${service ?? ""} IN ('', service)
                AND ${component ?? ""} IN ('', component)
              ORDER BY id DESC LIMIT ${limit}
            ) AS newest ORDER BY id`,
        all
      ),
    lastEvents: (limit) =>
      read(
        EventRow,
        // The newest of each service by its index: of all events most are old.
        sql`SELECT e.* FROM (SELECT service FROM services) AS s
            JOIN events e ON e.id IN
              (SELECT id FROM events WHERE service = s.service ORDER BY id DESC LIMIT ${limit})
            ORDER BY e.id`,
        all
      ),
    eventsAfter: ({ after, component, limit, service }) =>
      read(
        EventRow,
        sql`SELECT * FROM events
            WHERE id > ${after} AND ${service ?? ""} IN ('', service) AND ${component ?? ""} IN ('', component)
            ORDER BY id LIMIT ${limit}`,
        all
      ),
    pruneEvents: (before) => write(sql`DELETE FROM events WHERE at < ${before}`)
  }) satisfies Partial<Shape>
