import { Clock, Duration, Effect, Option, Schedule } from "effect"
import { Registry } from "../services/Registry.ts"
import { findService } from "./findService.ts"
import { ComponentNotFound } from "./ProgramError.ts"

/** Forgets events that are older than this, now and each hour. */
export const forgetEvents = (retention: Duration.DurationInput) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* (yield* Registry).pruneEvents(now - Duration.toMillis(retention))
  }).pipe(
    Effect.catchAll((error) =>
      Effect.logWarning("old events are forgotten later").pipe(Effect.annotateLogs({ why: error.message }))
    ),
    Effect.repeat(Schedule.spaced("1 hour"))
  )

/** What is recorded of a service, a component or all. What was never here is an error; what is gone has its events. */
export const eventsOf = (wanted: Parameters<Registry["Type"]["events"]>[0]) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { component = "", service = "" } = wanted
    const found = yield* registry.events(wanted)
    if (service === "" || found.length > 0) return found
    const stored = yield* registry.service(service)
    if (Option.isNone(stored) && (yield* registry.deployments(service, 1)).length === 0) yield* findService(service)
    if (component === "" || Option.isNone(stored)) return found
    const known = stored.value.spec.components.map(({ name }) => name as string)
    return known.includes(component) ? found : yield* new ComponentNotFound({ service, component, known })
  })
