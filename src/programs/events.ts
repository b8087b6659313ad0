import { Clock, Duration, Effect, Option, Schedule, Stream } from "effect"
import { type EventRow, Registry } from "../services/Registry.ts"
import { ContainerHealth } from "./ContainerHealth.ts"
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

/** So many are read at once. */
const batch = 1_000

/** What is to be watched: all, a service or a component. */
export interface Watching {
  readonly service: string
  readonly component: string
  readonly since: number
  readonly after: number
  /** Of those that are recorded already, the newest so many. */
  readonly limit: number
}

/**
 * Events as they are recorded. The first answer has those that are there already; one without events says that something
 * changed which is no event, such as what probes show: look again.
 */
export const watchEvents = ({ after, limit, ...wanted }: Watching) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const registry = yield* Registry
      const health = yield* ContainerHealth
      // Subscribed before what is there is read, so that nothing falls between.
      const written = yield* registry.eventsWritten
      // What comes after this one is new.
      let last = (yield* registry.events({ since: 0, after: 0, limit: 1 })).at(-1)?.id ?? 0
      const begun = last
      const found = yield* eventsOf({ ...wanted, after, limit: Math.max(1, limit) })
      const more = Effect.gen(function* () {
        const all: Array<EventRow> = []
        for (;;) {
          const some = yield* registry.eventsAfter({ ...wanted, after: last, limit: batch })
          last = some.at(-1)?.id ?? last
          all.push(...some)
          if (some.length < batch) return all
        }
      })
      const events = Stream.fromQueue(written).pipe(
        Stream.mapEffect(() => more),
        Stream.filter((some) => some.length > 0)
      )
      const probes = Stream.as(health.changes, [])
      const recorded: ReadonlyArray<EventRow> = limit === 0 ? [] : found.filter(({ id }) => id <= begun)
      return Stream.concat(Stream.succeed(recorded), Stream.merge(events, probes))
    })
  )
