import type { SqlClient } from "@effect/sql"
import { Clock, Effect, Schema } from "effect"
import type { Registry } from "../../services/Registry.ts"
import { all, read, write } from "./queries.ts"
import { SecretRow, StepRow } from "./rows.ts"

type Shape = Registry["Type"]

const Version = Schema.Struct({ version: Schema.Number })
const Used = StepRow.pipe(Schema.pick("secrets"))

/** Values as ciphertexts only; the key is not here. */
export const make = (sql: SqlClient.SqlClient) =>
  ({
    secrets: (service) =>
      read(
        SecretRow,
        sql`SELECT * FROM secrets WHERE ${service ?? ""} IN ('', service) ORDER BY service, secret, version DESC`,
        all
      ),
    keepsSecrets: read(
      Version,
      sql`SELECT version FROM secrets WHERE ciphertext IS NOT NULL LIMIT 1`,
      (rows) => rows.length > 0
    ),
    putSecret: (row) =>
      read(
        Version,
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            sql`INSERT INTO secrets (service, secret, version, ciphertext, actor, created_at)
                SELECT ${row.service}, ${row.secret}, CAST(${row.version} AS BIGINT), ${row.ciphertext}, ${row.actor},
                  CAST(${now} AS BIGINT)
                WHERE NOT EXISTS (SELECT 1 FROM secrets WHERE service = ${row.service} AND secret = ${row.secret}
                  AND version >= ${row.version})
                RETURNING version`
        ),
        (rows) => rows.length === 1
      ),
    removeSecret: (service, secret) =>
      write(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`DELETE FROM secrets WHERE service = ${service} AND secret = ${secret} AND version < (
              SELECT MAX(version) FROM secrets WHERE service = ${service} AND secret = ${secret})`
            yield* sql`UPDATE secrets SET ciphertext = NULL WHERE service = ${service} AND secret = ${secret}`
          })
        )
      ),
    pruneSecrets: (service, revisions) =>
      write(
        sql.withTransaction(
          Effect.gen(function* () {
            const kept = yield* Effect.flatMap(
              sql`SELECT secrets FROM components WHERE service = ${service} AND secrets <> '{}'
                  UNION
                  SELECT s.secrets FROM deployment_steps s JOIN deployments d ON d.id = s.deployment
                  WHERE d.service = ${service} AND s.secrets <> '{}' AND (
                    d.state NOT IN ('succeeded', 'rolled_back') OR d.id IN (
                      SELECT id FROM deployments WHERE service = ${service} AND state = 'succeeded'
                      AND kind <> 'restart' ORDER BY id DESC LIMIT ${revisions}))`,
              (rows) => Effect.orDie(Schema.decodeUnknown(Schema.Array(Used))(rows))
            )
            const used = new Set(
              kept.flatMap(({ secrets }) => Object.entries(secrets).map(([name, version]) => `${name} ${version}`))
            )
            const older = yield* sql<{ secret: string; version: number }>`
              SELECT secret, version FROM secrets old WHERE service = ${service} AND version < (
                SELECT MAX(version) FROM secrets new WHERE new.service = ${service} AND new.secret = old.secret)`
            for (const { secret, version } of older.filter((row) => !used.has(`${row.secret} ${row.version}`))) {
              yield* sql`DELETE FROM secrets
                         WHERE service = ${service} AND secret = ${secret} AND version = ${version}`
            }
          })
        )
      )
  }) satisfies Partial<Shape>
