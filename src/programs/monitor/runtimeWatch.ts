import { Clock, Effect } from "effect"
import type { AlertKind } from "../../domain/Alerting.ts"
import type { Alert } from "../../services/Alerter.ts"
import { Registry } from "../../services/Registry.ts"
import type { BestEffort } from "./bestEffort.ts"

export type Tell = (
  kind: AlertKind,
  about: Pick<Alert, "service" | "component" | "from" | "to" | "message">
) => Effect.Effect<void>

/** The runtime's own coming and going: one event each, and one alert in which all containers are included. */
export const watchRuntime = (tell: Tell, cooldown: number, write: BestEffort) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    let away = false
    let alerted = false
    let alertedAt: number | undefined

    const note = (to: "answers" | "away", message: string) =>
      write(registry.recordEvent({ service: "", component: "", kind: "runtime", from: "", to, message, actor: "" }))

    return {
      isAway: (why: string) =>
        Effect.gen(function* () {
          away = true
          yield* Effect.logWarning("the runtime does not answer; what runs is unknown").pipe(
            Effect.annotateLogs({ why })
          )
          yield* note("away", why)
          const now = yield* Clock.currentTimeMillis
          if (alertedAt !== undefined && Math.abs(now - alertedAt) < cooldown) return
          alertedAt = now
          alerted = true
          yield* tell("runtime", { service: "", component: "", from: "answers", to: "away", message: why })
        }),
      answers: Effect.gen(function* () {
        if (!away) return
        away = false
        yield* note("answers", "")
        if (!alerted) return
        alerted = false
        const message = "the container runtime answers again"
        yield* tell("recovered", { service: "", component: "", from: "away", to: "answers", message })
      })
    }
  })
