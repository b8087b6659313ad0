import { createHash } from "node:crypto"
import { Context, Effect, Layer, Ref, Stream } from "effect"
import {
  SnapshotDamaged,
  SnapshotDiskFull,
  SnapshotNotFound,
  type SnapshotRecord,
  SnapshotStore
} from "../services/SnapshotStore.ts"

interface Kept {
  readonly record: SnapshotRecord
  readonly bytes: Uint8Array
}

/** What tests do to the snapshots that are in memory. */
export class FakeSnapshotStoreControl extends Context.Tag("mcp/FakeSnapshotStoreControl")<
  FakeSnapshotStoreControl,
  {
    readonly damage: (id: string) => Effect.Effect<void>
    readonly fillDisk: (full: boolean) => Effect.Effect<void>
    /** Files that are being written. */
    readonly partials: Effect.Effect<number>
  }
>() {}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const make = Effect.gen(function* () {
  const kept = yield* Ref.make<ReadonlyMap<string, Kept>>(new Map())
  const full = yield* Ref.make(false)
  const partials = yield* Ref.make(0)
  const store = SnapshotStore.of({
    write: (service, bytes, describe) =>
      Effect.acquireUseRelease(
        Ref.update(partials, (n) => n + 1),
        () =>
          Effect.gen(function* () {
            const all = Buffer.concat([...(yield* Stream.runCollect(bytes))])
            if (yield* Ref.get(full)) return yield* new SnapshotDiskFull({ folder: `/snapshots/${service}` })
            const record = yield* describe({
              sizeBytes: all.length,
              sha256: sha256(all),
              bytes: Stream.succeed(new Uint8Array(all))
            })
            yield* Ref.update(kept, (now) =>
              now.has(record.id) ? now : new Map(now).set(record.id, { record, bytes: all })
            )
            return record
          }),
        () => Ref.update(partials, (n) => n - 1)
      ),
    read: ({ id: snapshot, service }) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const found = (yield* Ref.get(kept)).get(snapshot)
          if (found === undefined) return yield* new SnapshotNotFound({ service, snapshot })
          const damaged = sha256(found.bytes) !== found.record.sha256
          return Stream.concat(
            Stream.succeed(found.bytes),
            damaged ? Stream.fail(new SnapshotDamaged({ service, snapshot })) : Stream.empty
          )
        })
      ),
    list: (service) =>
      Effect.map(Ref.get(kept), (all) =>
        [...all.values()]
          .map(({ record }) => record)
          .filter((record) => service === undefined || record.service === service)
          .sort((a, b) => (a.service === b.service ? (a.id < b.id ? 1 : -1) : a.service < b.service ? -1 : 1))
      ),
    remove: (_, id) => Ref.update(kept, (now) => new Map([...now].filter(([each]) => each !== id))),
    sweep: Ref.set(partials, 0)
  })
  const control = FakeSnapshotStoreControl.of({
    damage: (id) =>
      Ref.update(kept, (now) => {
        const found = now.get(id)
        return found === undefined ? now : new Map(now).set(id, { ...found, bytes: Buffer.from("not it") })
      }),
    fillDisk: (now) => Ref.set(full, now),
    partials: Ref.get(partials)
  })
  return Context.make(SnapshotStore, store).pipe(Context.add(FakeSnapshotStoreControl, control))
})

/** Snapshots in memory. */
export const layer = Layer.effectContext(make)
