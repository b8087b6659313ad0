import { Clock, Effect, FiberMap } from "effect"
import { type AlertSettings, calm, isWorthKeeping, nextStep, type Watched } from "../../domain/Alerting.ts"
import type { Drift } from "../../domain/Drift.ts"
import { targetOf } from "../../domain/Names.ts"
import { Registry } from "../../services/Registry.ts"
import type { Live } from "../observe.ts"
import { describe } from "./alerts.ts"
import type { BestEffort } from "./bestEffort.ts"
import type { Tell } from "./runtimeWatch.ts"

/** Drift that no observed state shows has events of its own. */
const unseen: ReadonlySet<Drift> = new Set(["image", "spec"])

const kindsOf = ({ flapping, ongoing }: Watched): ReadonlyArray<Drift> => [
  ...ongoing.map(({ kind }) => kind).filter((kind) => unseen.has(kind)),
  ...(flapping === undefined ? [] : (["flapping"] as const))
]

/** What is remembered of the components' drift; it lives longer than the watching, for those who ask. */
export const makeDrifts = () => {
  const states = new Map<string, Watched>()
  return {
    states,
    flaps: (service: string, component: string) => states.get(targetOf(service, component))?.flapping !== undefined
  }
}

/**
 * Judges components as they are seen: what changed becomes an event, what is due an alert. `look` is called for a service
 * when something falls due without a change.
 */
export const judging = (
  states: Map<string, Watched>,
  settings: AlertSettings,
  silencedUntil: (service: string, component: string, now: number) => number | undefined,
  tell: Tell,
  look: (service: string) => Effect.Effect<void>,
  write: BestEffort
) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const wakes = yield* FiberMap.make<string>()

    const note = (one: Live, before: Watched, after: Watched) =>
      Effect.gen(function* () {
        const { component, service } = one
        const was = kindsOf(before)
        const is = kindsOf(after)
        const record = (kind: "drift" | "recovered", to: Drift, message: string) =>
          write(registry.recordEvent({ service, component, kind, from: "", to, message, actor: "" }))
        for (const kind of is) if (!was.includes(kind)) yield* record("drift", kind, describe(kind, one))
        for (const kind of was) if (!is.includes(kind)) yield* record("recovered", kind, "")
      })

    const remember = (one: Live, before: Watched, after: Watched, told: boolean) =>
      Effect.gen(function* () {
        const { component, service } = one
        const key = targetOf(service, component)
        const keep = isWorthKeeping(after)
        if (after.ongoing.length === 0 && after.left.length === 0 && !keep) states.delete(key)
        else states.set(key, after)
        // Written before anything is sent: a crash in between must not tell it twice.
        if (told || isWorthKeeping(before) !== keep) {
          yield* write(registry.putWatched(service, component, keep ? after : undefined))
        }
      })

    return {
      /** Answers whether it flaps. */
      judge: (one: Live) =>
        Effect.gen(function* () {
          const { component, desired, observed, service } = one
          const key = targetOf(service, component)
          const now = yield* Clock.currentTimeMillis
          const before = states.get(key) ?? calm
          const drift = one.drift.filter((kind) => kind !== "flapping")
          if (before === calm && drift.length === 0) return false
          const silent = silencedUntil(service, component, now)
          const { alerts, state, wakeAt } = nextStep(before, drift, now, settings, silent)
          yield* remember(one, before, state, alerts.length > 0)
          yield* note(one, before, state)
          for (const kind of alerts) {
            yield* tell(kind, { service, component, from: desired, to: observed, message: describe(kind, one) })
          }
          if (wakeAt === undefined) yield* FiberMap.remove(wakes, key)
          else yield* FiberMap.run(wakes, key, Effect.delay(look(service), wakeAt - now))
          return state.flapping !== undefined
        }),
      /** Drops what is remembered of components that are no longer there. */
      keep: (only: string | undefined, known: ReadonlySet<string>) =>
        Effect.forEach(
          [...states.keys()].filter((key) => !known.has(key) && (only === undefined || key.startsWith(`${only}/`))),
          (key) => {
            const [service = "", component = ""] = key.split("/")
            states.delete(key)
            return Effect.zipRight(FiberMap.remove(wakes, key), registry.putWatched(service, component, undefined))
          },
          { discard: true }
        ),
      /** An operator has acted on it: what it did before counts no more. */
      beginAnew: (service: string) => {
        for (const [key, { flapping: _, ...state }] of states) {
          if (key.startsWith(`${service}/`)) states.set(key, { ...state, left: [] })
        }
      }
    }
  })
