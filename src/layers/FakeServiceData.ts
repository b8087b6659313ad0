import { Context, Effect, Layer, Ref, Schema, Stream } from "effect"
import { FileUnusable } from "../services/FileTransfer.ts"
import {
  type ArchiveEvent,
  ArchiveHeader,
  ArchiveUnusable,
  type LeftOut,
  ServiceData
} from "../services/ServiceData.ts"

/** Contents by path. */
type Files = Readonly<Record<string, string>>

interface State {
  readonly data: Readonly<Record<string, Files>>
  /** By restore. */
  readonly staged: Readonly<Record<string, { readonly service: string; readonly files: Files }>>
  readonly aside: Readonly<Record<string, { readonly service: string; readonly files: Files }>>
}

/** What tests see and do of the data that is in memory. */
export class FakeServiceDataControl extends Context.Tag("mcp/FakeServiceDataControl")<
  FakeServiceDataControl,
  {
    readonly put: (service: string, files: Files) => Effect.Effect<void>
    readonly files: (service: string) => Effect.Effect<Files>
    /** Restores of which something is staged or aside. */
    readonly litter: Effect.Effect<ReadonlyArray<string>>
    /** What the next archives leave out. */
    readonly leaveOut: (leftOut: ReadonlyArray<LeftOut>) => Effect.Effect<void>
    /** Waited for by each archive, between its pieces. */
    readonly holdUp: (until: Effect.Effect<void>) => Effect.Effect<void>
    readonly failReplace: (why: string | undefined) => Effect.Effect<void>
  }
>() {}

const Archive = Schema.parseJson(
  Schema.Struct({ header: ArchiveHeader, files: Schema.Record({ key: Schema.String, value: Schema.String }) })
)

const without = <A>(all: Readonly<Record<string, A>>, key: string) =>
  Object.fromEntries(Object.entries(all).filter(([each]) => each !== key))

const totalsOf = (files: Files) => ({
  files: Object.keys(files).length,
  bytes: Object.values(files).reduce((sum, text) => sum + text.length, 0)
})

const make = Effect.gen(function* () {
  const state = yield* Ref.make<State>({ data: {}, staged: {}, aside: {} })
  const leftOut = yield* Ref.make<ReadonlyArray<LeftOut>>([])
  const hold = yield* Ref.make<Effect.Effect<void>>(Effect.void)
  const broken = yield* Ref.make<string | undefined>(undefined)

  const collected = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) =>
    Effect.gen(function* () {
      const pieces = yield* Stream.runCollect(bytes)
      return yield* Schema.decodeUnknown(Archive)(Buffer.concat([...pieces]).toString()).pipe(
        Effect.mapError(() => new ArchiveUnusable({ why: "it is no archive" }))
      )
    })

  const data = ServiceData.of({
    archive: (header) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const files = (yield* Ref.get(state)).data[header.service] ?? {}
          const total = totalsOf(files)
          const text = Buffer.from(Schema.encodeSync(Archive)({ header, files }))
          const half = Math.ceil(text.length / 2)
          const events: ReadonlyArray<ArchiveEvent> = [
            { _tag: "Progress", done: { files: 0, bytes: 0 }, total },
            ...(yield* Ref.get(leftOut)).map((one): ArchiveEvent => ({ _tag: "LeftOut", leftOut: one })),
            { _tag: "Bytes", bytes: text.subarray(0, half) },
            { _tag: "Bytes", bytes: text.subarray(half) },
            { _tag: "Progress", done: total, total },
            { _tag: "Done", totals: total }
          ]
          return Stream.fromIterable(events).pipe(
            Stream.rechunk(1),
            Stream.tap(() => Effect.flatten(Ref.get(hold)))
          )
        })
      ),
    header: (bytes) => Effect.map(collected(bytes), ({ header }) => header),
    stage: (service, restore, bytes, told) =>
      Effect.gen(function* () {
        const { files, header } = yield* collected(bytes)
        yield* told(totalsOf(files))
        yield* Ref.update(state, (now) => ({ ...now, staged: { ...now.staged, [restore]: { service, files } } }))
        return { header, totals: totalsOf(files) }
      }),
    replace: (service, restore) =>
      Effect.gen(function* () {
        const why = yield* Ref.get(broken)
        if (why !== undefined) return yield* new FileUnusable({ path: service, why })
        yield* Ref.update(state, (now) => {
          const staged = now.staged[restore]
          if (staged === undefined) return now
          return {
            data: { ...now.data, [service]: staged.files },
            staged: without(now.staged, restore),
            aside: { ...now.aside, [restore]: { service, files: now.data[service] ?? {} } }
          }
        })
      }),
    putBack: (service, restore) =>
      Ref.update(state, (now) => {
        const aside = now.aside[restore]
        if (aside === undefined) return now
        return {
          data: { ...now.data, [service]: aside.files },
          staged: without(now.staged, restore),
          aside: without(now.aside, restore)
        }
      }),
    discard: (service, restore) =>
      Ref.update(state, (now) => {
        const kept = (all: State["staged"]) =>
          Object.fromEntries(
            Object.entries(all).filter(
              ([id, each]) => each.service !== service || (restore !== undefined && id !== restore)
            )
          )
        return { ...now, staged: kept(now.staged), aside: kept(now.aside) }
      })
  })

  const control = FakeServiceDataControl.of({
    put: (service, files) => Ref.update(state, (now) => ({ ...now, data: { ...now.data, [service]: files } })),
    files: (service) => Effect.map(Ref.get(state), ({ data }) => data[service] ?? {}),
    litter: Effect.map(Ref.get(state), ({ aside, staged }) => [...Object.keys(staged), ...Object.keys(aside)]),
    leaveOut: (paths) => Ref.set(leftOut, paths),
    holdUp: (until) => Ref.set(hold, until),
    failReplace: (why) => Ref.set(broken, why)
  })
  return Context.make(ServiceData, data).pipe(Context.add(FakeServiceDataControl, control))
})

/** Services' data in memory. */
export const layer = Layer.effectContext(make)
