import { Effect, Fiber } from "effect"
import type { ServiceSpec } from "../../src/domain/Spec.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { type Synced, type SyncRequest, sync } from "../../src/programs/sync.ts"
import { Registry } from "../../src/services/Registry.ts"
import { passTime, specOf } from "./support.ts"

/** A service of one component of the same name, with one image for each version. */
export const single = (name: string, version = "1", change: Record<string, unknown> = {}) =>
  specOf({ name, components: [{ name, image: `localhost/${name}:${version}` }], ...change })

export const withImages = (...names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    for (const name of names) {
      for (const version of ["1", "2"]) yield* control.addImage(`localhost/${name}:${version}`)
      yield* control.addImage(`localhost/${name}:bad`, { exits: { afterMs: 100, code: 1 } })
    }
    return control
  })

/** Runs with the clock moving past every wait. */
export const waited = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.fork(effect), (fiber) => Effect.zipRight(passTime(fiber), Fiber.join(fiber)))

/** Syncs to the end; what was told of each service, by name. */
export const synced = (specs: ReadonlyArray<ServiceSpec>, change: Partial<SyncRequest> = {}) =>
  Effect.gen(function* () {
    const told: Array<Synced> = []
    const request = { specs, refused: [], dryRun: false, actor: "ada", ...change }
    const result = yield* waited(sync(request, (each) => Effect.sync(() => void told.push(each))))
    const of = (service: string) => told.find((each) => each.service === service)
    const outcomes = told.map((each) => `${each.service} ${each.outcome}`).sort()
    return { result, told, of, outcomes }
  })

/** All that there is: containers, and the registry's rows and events. */
export const everything = Effect.gen(function* () {
  const registry = yield* Registry
  const containers = (yield* (yield* FakeRuntimeControl).containers).map((c) => `${c.id} ${c.containerName} ${c.state}`)
  const events = yield* registry.events({ since: 0, after: 0, limit: 1000 })
  return [containers.sort(), yield* registry.services, yield* registry.components(), yield* registry.ports(), events]
})
