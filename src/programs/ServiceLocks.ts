import { Clock, Effect, Ref } from "effect"
import { ServiceBusy } from "./ProgramError.ts"

interface Holder {
  readonly act: string
  readonly since: number
}

/** One lock a service, over every act that changes its containers or its desired state. */
export class ServiceLocks extends Effect.Service<ServiceLocks>()("mcp/ServiceLocks", {
  effect: Effect.gen(function* () {
    const holders = yield* Ref.make<ReadonlyMap<string, Holder>>(new Map())

    const acquire = (service: string, act: string) =>
      Effect.gen(function* () {
        const since = yield* Clock.currentTimeMillis
        const held = yield* Ref.modify(holders, (map) => {
          const holder = map.get(service)
          return holder ? [holder, map] : [undefined, new Map(map).set(service, { act, since })]
        })
        if (held) return yield* new ServiceBusy({ service, holder: held.act, since: held.since })
      })

    const release = (service: string) =>
      Ref.update(holders, (map) => {
        const next = new Map(map)
        next.delete(service)
        return next
      })

    return {
      /** Runs `effect` alone on its service; a second caller is told what is under way and since when. */
      withLock:
        (service: string, act: string) =>
        <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ServiceBusy, R> =>
          Effect.acquireUseRelease(
            acquire(service, act),
            () => effect,
            () => release(service)
          )
    }
  })
}) {}
