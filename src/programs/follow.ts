import { Effect, Queue } from "effect"
import { Labels } from "../domain/Names.ts"
import type { Container } from "../services/ContainerRuntime.ts"
import { Registry } from "../services/Registry.ts"
import type { RegistryUnavailable } from "../services/RegistryError.ts"
import { RuntimeFeed } from "./RuntimeFeed.ts"

/** By its label; one that was adopted has none, and is known by the row that names it. */
export const serviceOf = (container: Container): Effect.Effect<string | undefined, RegistryUnavailable, Registry> => {
  const labelled = container.labels[Labels.service]
  if (labelled !== undefined) return Effect.succeed(labelled)
  return Effect.gen(function* () {
    const rows = yield* (yield* Registry).components()
    return rows.find(({ containerId }) => containerId === container.id)?.service
  })
}

/**
 * Calls `look` whenever something of a service may have changed, as long as its scope lasts: when a container of its
 * changes, once an act on it is over, and for all of them whenever all are listed (no service is named then). `released`
 * comes first when an act is over. What is there is in `RuntimeFeed.containers`.
 */
export const follow = <R>(
  look: (service: string | undefined) => Effect.Effect<void, never, R>,
  released: (service: string) => Effect.Effect<void, never, R> = () => Effect.void
) =>
  Effect.gen(function* () {
    const feed = yield* RuntimeFeed
    const news = yield* feed.follow
    const next = Effect.gen(function* () {
      const one = yield* Queue.take(news)
      switch (one._tag) {
        case "Scanned":
          return yield* look(undefined)
        case "Released":
          return yield* Effect.zipRight(released(one.service), look(one.service))
        case "Changed": {
          const service = yield* Effect.orElseSucceed(serviceOf(one.container), () => undefined)
          return service === undefined ? undefined : yield* look(service)
        }
        case "Away":
          return
      }
    })
    yield* Effect.forkScoped(Effect.forever(next))
  })
