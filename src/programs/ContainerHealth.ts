import { Effect, Option } from "effect"
import { type Probed, unprobed } from "../domain/Probed.ts"

/** What probes have shown of each container, by its id; kept in memory, since a new agent probes anew. */
export class ContainerHealth extends Effect.Service<ContainerHealth>()("mcp/ContainerHealth", {
  sync: () => {
    const known = new Map<string, Probed>()
    return {
      /** None before the first probe. */
      of: (container: string) => Effect.sync(() => Option.fromNullable(known.get(container))),
      all: Effect.sync((): ReadonlyMap<string, Probed> => known),
      begin: (container: string) => Effect.sync(() => void known.set(container, unprobed)),
      set: (container: string, probed: Probed) => Effect.sync(() => void known.set(container, probed)),
      forget: (container: string) => Effect.sync(() => void known.delete(container)),
      /** Drops what is known of containers that are no longer there. */
      keep: (containers: ReadonlySet<string>) =>
        Effect.sync(() => {
          for (const container of known.keys()) if (!containers.has(container)) known.delete(container)
        })
    }
  }
}) {}
