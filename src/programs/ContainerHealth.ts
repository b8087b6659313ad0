import { Effect, Option, PubSub, Stream } from "effect"
import { type Probed, unprobed } from "../domain/Probed.ts"

/** What probes have shown of each container, by its id; kept in memory, since a new agent probes anew. */
export class ContainerHealth extends Effect.Service<ContainerHealth>()("mcp/ContainerHealth", {
  effect: Effect.gen(function* () {
    const known = new Map<string, Probed>()
    const changed = yield* PubSub.unbounded<string>()
    return {
      /** None before the first probe. */
      of: (container: string) => Effect.sync(() => Option.fromNullable(known.get(container))),
      all: Effect.sync((): ReadonlyMap<string, Probed> => known),
      begin: (container: string) => Effect.sync(() => void known.set(container, unprobed)),
      set: (container: string, probed: Probed) =>
        Effect.suspend(() => {
          const before = known.get(container)?.state
          known.set(container, probed)
          return before === probed.state ? Effect.void : Effect.asVoid(changed.publish(container))
        }),
      /** Containers of which the probes now show something else. */
      changes: Stream.fromPubSub(changed),
      forget: (container: string) => Effect.sync(() => void known.delete(container)),
      /** Drops what is known of containers that are no longer there. */
      keep: (containers: ReadonlySet<string>) =>
        Effect.sync(() => {
          for (const container of known.keys()) if (!containers.has(container)) known.delete(container)
        })
    }
  })
}) {}
