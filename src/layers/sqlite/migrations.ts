import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

/*
 * Only ever append. The same statements serve PostgreSQL: ids are ULIDs in TEXT, times BIGINT milliseconds, JSON in
 * TEXT, flags BIGINT 0 or 1.
 */

const first = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)`
  yield* sql`
    CREATE TABLE services (
      service TEXT PRIMARY KEY,
      spec TEXT NOT NULL,
      desired TEXT NOT NULL,
      undeploying BIGINT NOT NULL DEFAULT 0,
      updated_at BIGINT NOT NULL
    )`
  yield* sql`
    CREATE TABLE components (
      service TEXT NOT NULL REFERENCES services (service) ON DELETE CASCADE,
      component TEXT NOT NULL,
      desired TEXT NOT NULL,
      spec_hash TEXT NOT NULL,
      generation BIGINT NOT NULL,
      container_id TEXT,
      image_id TEXT,
      image TEXT NOT NULL,
      observed TEXT NOT NULL,
      observed_at BIGINT NOT NULL,
      PRIMARY KEY (service, component)
    )`
  yield* sql`
    CREATE TABLE deployments (
      id TEXT PRIMARY KEY,
      service TEXT NOT NULL,
      spec TEXT NOT NULL,
      actor TEXT NOT NULL,
      state TEXT NOT NULL,
      started_at BIGINT NOT NULL,
      finished_at BIGINT,
      error TEXT
    )`
  yield* sql`CREATE INDEX deployments_by_service ON deployments (service, id)`
  yield* sql`
    CREATE TABLE deployment_steps (
      deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
      component TEXT NOT NULL,
      action TEXT NOT NULL,
      new_container_id TEXT,
      previous_container_id TEXT,
      previous_ran BIGINT NOT NULL,
      PRIMARY KEY (deployment, component)
    )`
})

/** What a deployment needs to go forward or back from its rows alone; ports, restarts, pulled images. */
const commitProtocol = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE services ADD COLUMN pinned_from TEXT`
  yield* sql`ALTER TABLE deployments ADD COLUMN kind TEXT NOT NULL DEFAULT 'deploy'`
  yield* sql`ALTER TABLE deployments ADD COLUMN switched BIGINT NOT NULL DEFAULT 0`
  yield* sql`ALTER TABLE deployments ADD COLUMN swept BIGINT NOT NULL DEFAULT 0`
  yield* sql`ALTER TABLE deployments ADD COLUMN last_error TEXT`
  yield* sql`ALTER TABLE deployments ADD COLUMN rollback_to TEXT`
  yield* sql`ALTER TABLE deployments ADD COLUMN pinned_from TEXT`
  yield* sql`ALTER TABLE deployments ADD COLUMN failure TEXT`
  yield* sql`ALTER TABLE deployment_steps ADD COLUMN update_order TEXT NOT NULL DEFAULT 'stop-first'`
  yield* sql`ALTER TABLE deployment_steps ADD COLUMN generation BIGINT NOT NULL DEFAULT 0`
  yield* sql`ALTER TABLE deployment_steps ADD COLUMN from_image TEXT`
  yield* sql`ALTER TABLE deployment_steps ADD COLUMN image_id TEXT`
  yield* sql`ALTER TABLE deployment_steps ADD COLUMN image_digest TEXT`
  yield* sql`
    CREATE TABLE ports (
      port BIGINT PRIMARY KEY,
      service TEXT NOT NULL,
      component TEXT NOT NULL,
      route TEXT NOT NULL,
      deployment TEXT NOT NULL,
      container_id TEXT
    )`
  yield* sql`CREATE INDEX ports_by_service ON ports (service)`
  yield* sql`
    CREATE TABLE restarts (
      service TEXT NOT NULL,
      component TEXT NOT NULL,
      container_id TEXT NOT NULL,
      restarts BIGINT NOT NULL,
      failures BIGINT NOT NULL,
      delay_ms BIGINT NOT NULL,
      ended_at BIGINT NOT NULL,
      next_at BIGINT,
      PRIMARY KEY (service, component),
      FOREIGN KEY (service, component) REFERENCES components (service, component) ON DELETE CASCADE
    )`
  yield* sql`CREATE TABLE pulled_images (image_id TEXT PRIMARY KEY, reference TEXT NOT NULL, pulled_at BIGINT NOT NULL)`
})

const events = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE events (
      id BIGINT PRIMARY KEY,
      at BIGINT NOT NULL,
      service TEXT NOT NULL,
      component TEXT NOT NULL,
      kind TEXT NOT NULL,
      from_state TEXT NOT NULL,
      to_state TEXT NOT NULL,
      message TEXT NOT NULL,
      actor TEXT NOT NULL
    )`
  yield* sql`CREATE INDEX events_by_service ON events (service, id)`
  yield* sql`CREATE INDEX events_by_time ON events (at)`
})

const monitor = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE watched (
      service TEXT NOT NULL,
      component TEXT NOT NULL,
      state TEXT NOT NULL,
      PRIMARY KEY (service, component)
    )`
  yield* sql`
    CREATE TABLE silences (
      service TEXT NOT NULL,
      component TEXT NOT NULL,
      until BIGINT NOT NULL,
      actor TEXT NOT NULL,
      PRIMARY KEY (service, component)
    )`
})

const adoption = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE components ADD COLUMN podman_restart TEXT`
  yield* sql`
    CREATE TABLE adopted_registries (
      service TEXT NOT NULL REFERENCES services (service) ON DELETE CASCADE,
      registry TEXT NOT NULL,
      PRIMARY KEY (service, registry)
    )`
})

/** What ended by its policy is known to have, also when podman has lost its container. */
const restingContainers = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE restarts ADD COLUMN rests BIGINT NOT NULL DEFAULT 0`
})

const eventReasons = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE events ADD COLUMN reason TEXT NOT NULL DEFAULT ''`
})

/** Ciphertexts alone; a version without one was removed, and keeps its number from being given again. */
const secrets = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE secrets (
      service TEXT NOT NULL,
      secret TEXT NOT NULL,
      version BIGINT NOT NULL,
      ciphertext TEXT,
      actor TEXT NOT NULL,
      created_at BIGINT NOT NULL,
      PRIMARY KEY (service, secret, version)
    )`
  yield* sql`ALTER TABLE components ADD COLUMN secrets TEXT NOT NULL DEFAULT '{}'`
  yield* sql`ALTER TABLE deployment_steps ADD COLUMN secrets TEXT NOT NULL DEFAULT '{}'`
})

const loadedImages = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE pulled_images ADD COLUMN waits BIGINT NOT NULL DEFAULT 0`
})

/** Restores of services' data that are not over. */
const restores = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE restores (
      id TEXT PRIMARY KEY,
      service TEXT NOT NULL,
      snapshot TEXT NOT NULL,
      actor TEXT NOT NULL,
      state TEXT NOT NULL,
      running TEXT NOT NULL,
      started_at BIGINT NOT NULL,
      failure TEXT
    )`
})

/** By number and name; a key without a number is skipped by the migrator in silence. */
export const migrations = {
  "0001_registry": first,
  "0002_commit_protocol": commitProtocol,
  "0003_events": events,
  "0004_monitor": monitor,
  "0005_adoption": adoption,
  "0006_resting_containers": restingContainers,
  "0007_event_reasons": eventReasons,
  "0008_secrets": secrets,
  "0009_loaded_images": loadedImages,
  "0010_restores": restores
}

/** The newest schema that this program knows. */
export const schemaVersion = Object.keys(migrations).length
