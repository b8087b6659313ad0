import { Clock, Effect, Option, PubSub, Stream } from "effect"
import { targetOf } from "../../domain/Names.ts"
import type { MonitorTarget } from "../../services/Monitor.ts"
import { Registry } from "../../services/Registry.ts"

/** The maintenance windows, in the registry and, for those who ask often, in memory. */
export const makeSilences = Effect.gen(function* () {
  const registry = yield* Registry
  const windows = new Map<string, number>()
  const changed = yield* PubSub.unbounded<string>()

  const forget = (service: string, component: string) => {
    windows.delete(targetOf(service, component))
    return registry.dropSilence(service, component)
  }

  return {
    load: Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      for (const { component, service, until } of yield* registry.silences) {
        if (until > now) windows.set(targetOf(service, component), until)
        else yield* forget(service, component)
      }
    }),
    /** Services whose windows have changed. */
    changed: Stream.fromPubSub(changed),
    silencedUntil: (service: string, component: string, now: number): number | undefined => {
      const until = Math.max(windows.get(targetOf(service, "")) ?? 0, windows.get(targetOf(service, component)) ?? 0)
      return until > now ? until : undefined
    },
    silence: ({ component = "", service }: MonitorTarget, forMs: number, actor: string) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const until = forMs > 0 ? now + forMs : undefined
        if (until === undefined) yield* forget(service, component)
        else {
          yield* registry.putSilence({ service, component, until, actor })
          windows.set(targetOf(service, component), until)
        }
        const message = until === undefined ? "" : `until ${new Date(until).toISOString()}`
        const to = until === undefined ? "ended" : "begun"
        yield* registry.recordEvent({ service, component, kind: "silence", from: "", to, message, actor })
        yield* changed.publish(service)
        return Option.fromNullable(until)
      })
  }
})
