import { createHash } from "node:crypto"
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import * as FolderSnapshots from "../../src/layers/FolderSnapshots.ts"
import { type SnapshotRecord, SnapshotStore, type Written } from "../../src/services/SnapshotStore.ts"
import { temporaryFolder } from "../support/folder.ts"

const ids = ["01ARZ3NDEKTSV4RRFFQ69G5FA0", "01ARZ3NDEKTSV4RRFFQ69G5FA1"] as const
const record = (id: string, written: Pick<Written, "sizeBytes" | "sha256">, service = "shop"): SnapshotRecord => ({
  ...{ version: 1, id, service, node: "rift", createdAt: 1, method: "full", files: 1, bytes: 3, actor: "ada" },
  ...{ sizeBytes: written.sizeBytes, sha256: written.sha256, leftOut: [{ path: "a", why: "b" }] }
})
const bytes = Stream.make(Buffer.from("ab"), Buffer.from("cd"))

const write = (id: string, service = "shop") =>
  Effect.flatMap(SnapshotStore, (store) =>
    store.write(service, bytes, (written) => Effect.succeed(record(id, written, service)))
  )
const withStore = <A, E>(use: (root: string) => Effect.Effect<A, E, SnapshotStore>) =>
  Effect.suspend(() => {
    const root = join(temporaryFolder(), "snapshots")
    return Effect.provide(use(root), FolderSnapshots.layer(root))
  })
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
const list = (service?: string) => Effect.flatMap(SnapshotStore, (store) => store.list(service))
const content = (of: SnapshotRecord) =>
  Effect.flatMap(SnapshotStore, (store) =>
    Effect.map(Stream.runCollect(store.read(of)), (all) => Buffer.concat([...all]).toString())
  )

describe("snapshots in a folder", () => {
  it.effect("are whole, for nobody else's eyes, with their digest and facts beside them, newest first", () =>
    withStore((root) =>
      Effect.gen(function* () {
        const first = yield* write(ids[0])
        const second = yield* write(ids[1])
        const other = yield* write(ids[0], "other")
        assert.strictEqual(first.sha256, createHash("sha256").update("abcd").digest("hex"))
        assert.strictEqual(first.sizeBytes, 4)
        assert.deepStrictEqual(yield* list("shop"), [second, first])
        assert.deepStrictEqual(yield* list(), [other, second, first])
        assert.strictEqual(yield* content(first), "abcd")
        const folder = join(root, "shop")
        assert.deepStrictEqual([mode(root), mode(folder)], ["700", "700"])
        assert.strictEqual(readdirSync(folder).length, 4)
        for (const name of readdirSync(folder)) assert.strictEqual(mode(join(folder, name)), "600")
        assert.strictEqual(readFileSync(join(folder, `${ids[0]}.tar.zst`), "utf8"), "abcd")
      })
    )
  )

  it.effect("need no registry: another agent finds what lies there", () =>
    withStore((root) =>
      Effect.gen(function* () {
        const made = yield* write(ids[0])
        const found = yield* list().pipe(Effect.provide(FolderSnapshots.layer(root)))
        assert.deepStrictEqual(found, [made])
      })
    )
  )

  it.effect("that are cut off, or refused at their end, leave nothing", () =>
    withStore((root) =>
      Effect.gen(function* () {
        const store = yield* SnapshotStore
        const fiber = yield* Effect.fork(
          store.write("shop", Stream.concat(bytes, Stream.never), (written) => Effect.succeed(record(ids[0], written)))
        )
        while (!existsSync(join(root, "shop"))) yield* Effect.promise(() => new Promise(setImmediate))
        yield* Fiber.interrupt(fiber)
        const failed = yield* Effect.exit(
          store.write("shop", Stream.concat(bytes, Stream.fail("cut")), () => Effect.die(1))
        )
        assert.isTrue(Exit.isFailure(failed))
        assert.strictEqual(yield* Effect.flip(store.write("shop", bytes, () => Effect.fail("no"))), "no")
        assert.deepStrictEqual(readdirSync(join(root, "shop")), [])
        assert.deepStrictEqual(yield* list(), [])
      })
    )
  )

  it.effect("that are not what was written fail when they are read to their end", () =>
    withStore((root) =>
      Effect.gen(function* () {
        const made = yield* write(ids[0])
        appendFileSync(join(root, "shop", `${ids[0]}.tar.zst`), "e")
        assert.strictEqual((yield* Effect.flip(content(made)))._tag, "SnapshotDamaged")
        assert.strictEqual((yield* Effect.flip(content(record(ids[1], made))))._tag, "SnapshotNotFound")
      })
    )
  )

  it.effect("are removed with their facts; what a killed agent left is swept, and nothing else", () =>
    withStore((root) =>
      Effect.gen(function* () {
        const store = yield* SnapshotStore
        yield* write(ids[0])
        const kept = yield* write(ids[1])
        yield* store.remove("shop", ids[0])
        yield* store.remove("shop", ids[0])
        const folder = join(root, "shop")
        for (const name of ["1-1.partial", `${ids[0]}.json`, `${ids[0]}.json.partial`, "notes.txt"]) {
          writeFileSync(join(folder, name), "{}")
        }
        // The registry's own snapshots lie in the same folder.
        writeFileSync(join(root, "rift-20260101T000000.000Z.db"), "")
        mkdirSync(join(root, "Not a service"))
        yield* store.sweep
        assert.deepStrictEqual(readdirSync(folder).sort(), [`${ids[1]}.json`, `${ids[1]}.tar.zst`, "notes.txt"].sort())
        assert.isTrue(existsSync(join(root, "rift-20260101T000000.000Z.db")))
        assert.deepStrictEqual(yield* list(), [kept])
      })
    )
  )
})
