import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, Either, Option, Queue, Schema } from "effect"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import * as SqliteRegistry from "../../src/layers/SqliteRegistry.ts"
import { Registry } from "../../src/services/Registry.ts"

const spec = Schema.decodeUnknownSync(ServiceSpec)({
  name: "shop",
  comment: "what it is for",
  components: [
    { name: "web", image: "nginx:1.27", env: { A: "b" } },
    { name: "worker", image: "nginx:1.27" }
  ]
})
const row = { service: "shop", spec, desired: "running", undeploying: false } as const
const web = {
  service: "shop",
  component: "web",
  desired: "running",
  specHash: "h1",
  generation: 1,
  containerId: "c1",
  imageId: "i1",
  image: "docker.io/library/nginx:1.27",
  observed: "running",
  secrets: { db: 2 }
} as const

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-registry-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)
const within = <A, E>(path: string, use: Effect.Effect<A, E, Registry>) =>
  Effect.provide(use, SqliteRegistry.layer(path))
const opened = Effect.flatMap(Registry, (registry) => Effect.succeed(registry.id))

describe("the registry on SQLite", () => {
  it.scopedLive("keeps what was written, and its own id, over a restart", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "state", "mcp.db")
      const id = yield* within(
        path,
        Effect.gen(function* () {
          const registry = yield* Registry
          yield* registry.putService(row)
          yield* registry.putComponent(web)
          return registry.id
        })
      )
      yield* within(
        path,
        Effect.gen(function* () {
          const registry = yield* Registry
          assert.strictEqual(registry.id, id)
          const stored = Option.getOrThrow(yield* registry.service("shop"))
          assert.deepStrictEqual(stored.spec, spec)
          const [component] = yield* registry.components("shop")
          assert.deepStrictEqual({ ...component, observedAt: 0 }, { ...web, observedAt: 0 })
        })
      )
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
    })
  )

  it.scopedLive("that somebody else has locked says so soon, and works again afterwards; nothing is half written", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "mcp.db")
      yield* within(
        path,
        Effect.gen(function* () {
          const registry = yield* Registry
          yield* registry.putService(row)
          yield* registry.putComponent(web)
          const other = new Database(path)
          other.exec("BEGIN IMMEDIATE")
          const seen = [{ service: "shop", component: "web", observed: "exited", message: "" }] as const
          const error = yield* Effect.flip(registry.observe(seen))
          assert.strictEqual(error.message, "the registry could not be written: database is locked")
          assert.strictEqual((yield* registry.components("shop"))[0]?.observed, "running")
          other.exec("ROLLBACK")
          other.close()
          yield* registry.observe(seen)
          assert.strictEqual((yield* registry.components("shop"))[0]?.observed, "exited")
        })
      )
    })
  )

  it.scopedLive("tells whoever waits that events were written, once they can be read", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "mcp.db")
      yield* within(
        path,
        Effect.gen(function* () {
          const registry = yield* Registry
          const written = yield* registry.eventsWritten
          yield* registry.putService(row)
          yield* registry.putComponent(web)
          yield* Queue.takeAll(written)
          yield* registry.setObserved("shop", "web", "exited")
          yield* Queue.take(written)
          const [last] = yield* registry.eventsAfter({ after: 0, limit: 10 })
          assert.deepInclude(last, { kind: "observed", from: "running", to: "exited" })
        }).pipe(Effect.scoped)
      )
    })
  )

  it.scopedLive("is one agent's alone: a second one is refused with the holder's pid", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "mcp.db")
      const second = yield* within(path, Effect.either(within(path, opened)))
      assert.deepStrictEqual(
        Either.mapLeft(second, (error) => [error._tag, error.message.split("\n")[0]]),
        Either.left(["RegistryLocked", `another agent (pid ${process.pid}) holds the database ${path}`])
      )
      yield* within(path, opened)
    })
  )

  it.scopedLive("refuses a database that a newer program made, and one that is none", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const newer = join(dir, "newer.db")
      yield* within(newer, opened)
      const db = new Database(newer)
      db.prepare("INSERT INTO effect_sql_migrations (migration_id, name) VALUES (99, 'later')").run()
      db.close()
      const tooNew = yield* Effect.flip(within(newer, opened))
      assert.strictEqual(tooNew._tag, "RegistryTooNew")

      const broken = join(dir, "broken.db")
      writeFileSync(broken, "this is no database, whatever its name says. ".repeat(100))
      const error = yield* Effect.flip(within(broken, opened))
      assert.strictEqual(error._tag, "RegistryUnavailable")
      assert.include(error.message, "not a database")
    })
  )

  const begun = { id: "01A", service: "shop", kind: "deploy", spec, actor: "ada" } as const

  it.scopedLive("ends a deployment in one transaction, and finds those that did not end", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "mcp.db")
      yield* within(
        path,
        Effect.gen(function* () {
          const registry = yield* Registry
          const step = {
            component: "web",
            action: "replace",
            updateOrder: "stop-first",
            generation: 2,
            previousContainerId: "c0",
            previousRan: true,
            secrets: { db: 3, key: 1 }
          } as const
          yield* registry.beginDeployment(begun, [step])
          yield* registry.setNewContainer("01A", "web", "c1")
          assert.deepStrictEqual(
            (yield* registry.unfinishedDeployments).map((d) => [d.id, d.state, d.actor]),
            [["01A", "starting", "ada"]]
          )
          assert.deepStrictEqual(yield* registry.steps("01A"), [{ ...step, deployment: "01A", newContainerId: "c1" }])
          yield* registry.commitDeployment("01A", row, [web])
          assert.deepStrictEqual(yield* registry.unfinishedDeployments, [])
          const [last] = yield* registry.deployments("shop", 5)
          assert.strictEqual(last?.state, "succeeded")
          assert.isNumber(last?.finishedAt)
        })
      )
    })
  )

  it.scopedLive("tells what became otherwise, in order and by whom, and nothing of what stayed as it was", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "mcp.db")
      yield* within(
        path,
        Effect.gen(function* () {
          const registry = yield* Registry
          yield* registry.beginDeployment(begun, [])
          yield* registry.commitDeployment("01A", row, [web])
          yield* registry.setObserved("shop", "web", "running")
          yield* registry.setObserved("shop", "web", "exited")
          yield* registry.setObserved("shop", "web", "exited")
          yield* registry.setDesired("shop", undefined, "stopped", "ada")
          yield* registry.setDesired("shop", undefined, "stopped", "ada")
          yield* registry.removeService("shop")
          const all = yield* registry.events({ since: 0, after: 0, limit: 100 })
          assert.deepStrictEqual(
            all.map((e) => [e.id, e.component, e.kind, e.from, e.to, e.actor]),
            [
              [1, "", "deploy", "", "starting", "ada"],
              [2, "", "deploy", "starting", "succeeded", "ada"],
              [3, "web", "observed", "running", "exited", ""],
              [4, "", "desired", "running", "stopped", "ada"],
              [5, "web", "observed", "exited", "removed", ""]
            ]
          )
          const ids = (wanted: Partial<Parameters<typeof registry.events>[0]>) =>
            Effect.map(registry.events({ since: 0, after: 0, limit: 100, ...wanted }), (rows) => rows.map((e) => e.id))
          assert.deepStrictEqual(yield* ids({ after: 3 }), [4, 5])
          assert.deepStrictEqual(yield* ids({ limit: 2 }), [4, 5])
          assert.deepStrictEqual(yield* ids({ component: "web" }), [3, 5])
          assert.deepStrictEqual(yield* ids({ service: "mail" }), [])
          assert.deepStrictEqual(yield* ids({ since: (all[0]?.at ?? 0) + 60_000 }), [])
          yield* registry.pruneEvents((all[0]?.at ?? 0) + 60_000)
          assert.deepStrictEqual(yield* ids({}), [])
        })
      )
    })
  )

  it.scopedLive("forgets a service with its components, and keeps its history", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "mcp.db")
      yield* within(
        path,
        Effect.gen(function* () {
          const registry = yield* Registry
          yield* registry.beginDeployment(begun, [])
          yield* registry.commitDeployment("01A", row, [web])
          yield* registry.setDesired("shop", undefined, "stopped")
          assert.strictEqual((yield* registry.components("shop"))[0]?.desired, "stopped")
          yield* registry.removeService("shop")
          assert.deepStrictEqual(yield* registry.components(), [])
          assert.lengthOf(yield* registry.deployments("shop", 5), 1)
        })
      )
    })
  )
})
