import { Array, Effect, Option } from "effect"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { Monitor } from "../services/Monitor.ts"
import { type DeploymentRow, type EventRow, Registry, type ServiceRow } from "../services/Registry.ts"
import { findService } from "./findService.ts"
import { knownNow, type Live, liveOf, record, underWay } from "./observe.ts"
import { RuntimeFeed } from "./RuntimeFeed.ts"

export type { Live } from "./observe.ts"

/** Components with these containers, and the registry brought up to them where it can be written. */
const seenIn = (service: string | undefined, containers: ReadonlyMap<string, Container>) =>
  Effect.gen(function* () {
    const rows = yield* (yield* Registry).components(service)
    const known = yield* knownNow(yield* Monitor)
    const moving = yield* underWay
    const components = rows.map((row): Live => {
      const newer = moving.get(row.service)?.get(row.component)
      const seen = liveOf(row, known, containers.get(newer ?? row.containerId ?? ""), true)
      return moving.has(row.service) ? { ...seen, drift: [] } : seen
    })
    const settled = components.filter((one) => !moving.has(one.service))
    // A full disk is no reason not to tell what runs.
    yield* Effect.catchTag(record(rows, settled), "RegistryUnavailable", (error) =>
      Effect.logWarning("what was seen is not recorded").pipe(Effect.annotateLogs({ why: error.message }))
    )
    return components
  })

/** What runs now, and the registry brought up to it. Fails when the runtime does not answer. */
export const live = (service: string | undefined) =>
  Effect.gen(function* () {
    if (service !== undefined) yield* findService(service)
    const all = yield* (yield* ContainerRuntime).list
    return yield* seenIn(service, new Map(all.map((container) => [container.id, container])))
  })

/** What the registry has, each observed state `unknown`. */
const unknown = (service: string | undefined) =>
  Effect.gen(function* () {
    const rows = yield* (yield* Registry).components(service)
    const known = yield* knownNow(yield* Monitor)
    return rows.map((row) => liveOf(row, known, undefined, false))
  })

/** As `live`; with the runtime away what the registry has, each observed state `unknown`. */
export const liveOrUnknown = (service: string | undefined) =>
  Effect.catchTag(live(service), "RuntimeUnavailable", () => unknown(service))

/** Without a question to the runtime where the monitor knows, and at once where it knows that nobody answers. */
const watched = (service: string | undefined) =>
  Effect.gen(function* () {
    const feed = yield* RuntimeFeed
    if (Option.isSome(yield* feed.away)) return yield* unknown(service)
    const current = yield* feed.current
    return yield* Option.isSome(current) ? seenIn(service, current.value) : liveOrUnknown(service)
  })

export interface Status {
  readonly row: ServiceRow
  readonly components: ReadonlyArray<Live>
  readonly deployments: ReadonlyArray<DeploymentRow>
  /** The last few, oldest first. */
  readonly events: ReadonlyArray<EventRow>
}

/** How much of the past is shown of each service. */
export interface Past {
  readonly deployments: number
  readonly events: number
}

/** Of one service, or of all in as many queries. */
const pastOf = (service: string | undefined, past: Past) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const deployments =
      past.deployments === 0
        ? []
        : service === undefined
          ? yield* registry.lastDeployments(past.deployments)
          : yield* registry.deployments(service, past.deployments)
    const events =
      past.events === 0
        ? []
        : service === undefined
          ? yield* registry.lastEvents(past.events)
          : yield* registry.events({ service, since: 0, after: 0, limit: past.events })
    const by = (one: { readonly service: string }) => one.service
    return { deployments: Array.groupBy(deployments, by), events: Array.groupBy(events, by) }
  })

/** Services with their components, as the registry has them after a look at the runtime. */
export const statusOf = (service: string | undefined, past: Past = { deployments: 0, events: 0 }) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const services = service === undefined ? yield* registry.services : [yield* findService(service)]
    if (services.length === 0) return []
    const components = yield* watched(service)
    const of = Array.groupBy(components, (component) => component.service)
    const { deployments, events } = yield* pastOf(service, past)
    return services.map(
      (row): Status => ({
        row,
        deployments: deployments[row.service] ?? [],
        events: events[row.service] ?? [],
        components: of[row.service] ?? []
      })
    )
  })
