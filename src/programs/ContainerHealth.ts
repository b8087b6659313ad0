import { Clock, Effect, Option, PubSub, Stream } from "effect"
import { type Probed, type ProbeRun, unprobed, withProbe } from "../domain/Probed.ts"
import type { ProbeResult } from "../services/Prober.ts"

/** What a container's probes have found, of its earlier runs too. */
export interface ProbesTaken {
  readonly runs: ReadonlyArray<ProbeRun>
  /** Since when each probe has failed; undefined when the last one did not. */
  readonly failingSince: number | undefined
}

/** What probes have shown of each container, by its id; kept in memory, since a new agent probes anew. */
export class ContainerHealth extends Effect.Service<ContainerHealth>()("mcp/ContainerHealth", {
  effect: Effect.gen(function* () {
    const known = new Map<string, Probed>()
    const changed = yield* PubSub.unbounded<string>()
    const taken = new Map<string, ProbesTaken>()
    return {
      /** None before the first probe. */
      of: (container: string) => Effect.sync(() => Option.fromNullable(known.get(container))),
      all: Effect.sync((): ReadonlyMap<string, Probed> => known),
      taken: (container: string) =>
        Effect.sync((): ProbesTaken => taken.get(container) ?? { runs: [], failingSince: undefined }),
      begin: (container: string) => Effect.sync(() => void known.set(container, unprobed)),
      /** A probe, and what is to be thought of the container after it. */
      set: (container: string, probed: Probed, probe: ProbeResult) =>
        Effect.gen(function* () {
          const at = yield* Clock.currentTimeMillis
          const before = taken.get(container)
          const state = known.get(container)?.state
          known.set(container, probed)
          taken.set(container, {
            runs: withProbe(before?.runs ?? [], probe, at),
            failingSince: probe.healthy ? undefined : (before?.failingSince ?? at)
          })
          if (state !== probed.state) yield* changed.publish(container)
        }),
      /** Containers of which the probes now show something else. */
      changes: Stream.fromPubSub(changed),
      /** It has ended: what is thought of it no longer holds. */
      forget: (container: string) =>
        Effect.sync(() => {
          known.delete(container)
          const before = taken.get(container)
          if (before) taken.set(container, { ...before, failingSince: undefined })
        }),
      /** Drops what is known of containers that are no longer there. */
      keep: (containers: ReadonlySet<string>) =>
        Effect.sync(() => {
          for (const all of [known, taken]) {
            for (const container of all.keys()) if (!containers.has(container)) all.delete(container)
          }
        })
    }
  })
}) {}
