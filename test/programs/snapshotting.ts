import { Effect, Layer } from "effect"
import * as ConfinedFiles from "../../src/layers/ConfinedFiles.ts"
import { FakeServiceDataControl } from "../../src/layers/FakeServiceData.ts"
import { createSnapshot, type SnapshotEvent } from "../../src/programs/createSnapshot.ts"
import { type RestoreEvent, restore } from "../../src/programs/restore.ts"
import { temporaryFolder } from "../support/folder.ts"
import { node, passTime, specOf } from "./support.ts"

/** A node on which there may be folders of services. */
export const emptyNode = (filesRoot = temporaryFolder()) => Layer.provideMerge(ConfinedFiles.layer(filesRoot), node())

/** Two components that share a folder, and one that is not meant to run. */
export const shopWithData = (snapshot: Record<string, unknown> = { method: "full" }) =>
  specOf({
    name: "shop",
    snapshot,
    components: [
      { name: "web", image: "localhost/web:1", volumes: ["/srv/shop:/data"], depends_on: ["db"] },
      { name: "db", image: "localhost/db:1", volumes: ["/srv/shop/db:/db"] }
    ]
  })

/** Makes one to the end, with the clock running; answers it and what was told. */
export const snapshotted = (change: Partial<Parameters<typeof createSnapshot>[0]> = {}) =>
  Effect.gen(function* () {
    const events: Array<SnapshotEvent> = []
    const request = { service: "shop", actor: "ada", wait: false, keep: undefined, ...change }
    const fiber = yield* Effect.fork(createSnapshot(request, (event) => Effect.sync(() => void events.push(event))))
    yield* passTime(fiber)
    return { snapshot: yield* fiber, events }
  })

export const restored = (
  change: Partial<Parameters<typeof restore>[0]> = {},
  begin: Effect.Effect<void> = Effect.void
) =>
  Effect.gen(function* () {
    const events: Array<RestoreEvent> = []
    const request = { service: "shop", snapshot: undefined, actor: "ada", wait: false, ...change }
    const fiber = yield* Effect.fork(restore(request, (event) => Effect.sync(() => void events.push(event)), begin))
    yield* passTime(fiber)
    return { result: yield* fiber, events }
  })

export const putData = (text: string, service = "shop") =>
  Effect.flatMap(FakeServiceDataControl, (control) => control.put(service, { "a.db": text }))
export const dataNow = Effect.flatMap(FakeServiceDataControl, (control) => control.files("shop"))
