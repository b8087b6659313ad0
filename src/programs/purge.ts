import { Effect, Option } from "effect"
import type { ServiceSpec } from "../domain/Spec.ts"
import type { ObservedState } from "../domain/State.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, Registry, type ServiceRow } from "../services/Registry.ts"
import { discard } from "./containers.ts"
import { explain } from "./explain.ts"
import { type Facts, gather } from "./facts.ts"
import { findService } from "./findService.ts"
import { dropService } from "./lifecycle.ts"
import { observe } from "./observe.ts"
import { ComponentNotFound, ServiceBusy } from "./ProgramError.ts"
import { recover, sweep } from "./recover.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

export interface PurgeRequest {
  /** Undefined: all of them. */
  readonly service: string | undefined
  /** Undefined: the whole service. */
  readonly component: string | undefined
  /** Every definition of the node: what is in one is wanted. */
  readonly defined: ReadonlyArray<{ readonly name: string; readonly components: ReadonlyArray<string> }>
  /** An entry whose container is still there stays. */
  readonly keepContainers: boolean
  readonly dryRun: boolean
  /** Services that the caller may purge; others are passed over. */
  readonly may: (service: string) => boolean
}

export interface PurgedEntry {
  readonly service: string
  /** Undefined: the service itself, of which nothing is left. */
  readonly component: string | undefined
  readonly observed: ObservedState
  /** With `dryRun`: would be. */
  readonly purged: boolean
  /** The container that had ended, and was removed with its entry. */
  readonly removed: string | undefined
  /** Why it stays, and what would change that. */
  readonly why: string
  readonly nextStep: string
}

const stays = (why: string, nextStep = "") => ({ purged: false, removed: undefined, why, nextStep })
const goes = (container?: Container) => ({ purged: true, removed: container?.containerName, why: "", nextStep: "" })

/** Why an entry that no definition wants is not gone, or that it is. */
const verdict = (row: ComponentRow, container: Container | undefined, pendingAt: number | undefined, keep: boolean) => {
  if (container === undefined) return goes()
  const { containerName: name } = container
  const target = `${row.service}/${row.component}`
  switch (observe(row, container, undefined)) {
    case "running":
    case "unhealthy":
      return stays("its container runs", `mcp stop ${target}, or mcp undeploy ${row.service} for all of it`)
    case "stopped":
      return stays("its container is stopped, and could be started again", `on the node: podman rm ${name}`)
    case "exited":
      if (container.state === "stopping" || container.state === "removing") {
        return stays(`its container is ${container.state}`, "try again in a moment")
      }
      if (pendingAt !== undefined) {
        return stays(`its container is started again at ${new Date(pendingAt).toISOString()}`, `mcp stop ${target}`)
      }
      return keep ? stays("its container has ended and is still there", `mcp purge ${target}`) : goes(container)
    // Podman has it and cannot say what it does: that is not gone.
    default:
      return stays("podman does not know its state", `see on the node: podman inspect ${name}`)
  }
}

/** What would become of each component's entry, and whether nothing of the service is left then. */
const judge = (request: PurgeRequest, service: string, facts: Facts) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const definition = request.defined.find(({ name }) => name === service)
    const restarts = new Map((yield* registry.restarts).map((row) => [row.containerId, row.nextAt]))
    const rows = [...facts.rows.values()]
    const meant = (row: ComponentRow) => request.component === undefined || row.component === request.component
    const judged = rows.filter(meant).map((row) => {
      const container = facts.current.get(row.component)
      const wanted = definition?.components.includes(row.component) ?? false
      const said = wanted
        ? stays("it is in its definition", `mcp deploy ${service}`)
        : verdict(row, container, restarts.get(row.containerId ?? ""), request.keepContainers)
      return { row, container, wanted, ...said }
    })
    const purged = new Set(judged.filter((each) => each.purged).map(({ row }) => row.component))
    const last = facts.service !== undefined && definition === undefined && purged.size === rows.length
    const stored = facts.service?.spec.components ?? []
    if (last || !stored.every(({ name }) => purged.has(name))) return { judged, last }
    // The registry has no service without components; what it was rolled back from would be forgotten with it.
    const nextStep = definition === undefined ? `mcp undeploy ${service}` : `mcp deploy ${service}`
    const kept = stays(`the registry has nothing else of ${service}`, nextStep)
    const inSpec = ({ row }: { readonly row: ComponentRow }) => stored.some(({ name }) => name === row.component)
    return { judged: judged.map((each) => (inSpec(each) ? { ...each, ...kept } : each)), last }
  })

type Judged = Effect.Effect.Success<ReturnType<typeof judge>>["judged"][number]

/** The stored spec without what is purged: a start must not bring it back. */
const trimmed = (spec: ServiceSpec, purged: ReadonlySet<string>): ServiceSpec => {
  const [first, ...rest] = spec.components.filter(({ name }) => !purged.has(name))
  return first ? { ...spec, components: [first, ...rest] } : spec
}

/** In an order that a crash can take up again: what is left of an entry is an entry that is gone. */
const purgeSome = (stored: ServiceRow, purging: ReadonlyArray<Judged>) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { service } = stored
    const [latest] = yield* registry.deployments(service, 1)
    if (latest) yield* registry.setUnswept(latest.id)
    const spec = trimmed(stored.spec, new Set(purging.map(({ row }) => row.component)))
    if (spec.components.length < stored.spec.components.length) yield* registry.putService({ ...stored, spec })
    for (const { container, row } of purging) {
      if (container) yield* discard(container.id)
      else if (row.containerId !== undefined) yield* registry.releasePorts(row.containerId)
      yield* registry.removeComponent(service, row.component)
    }
    yield* sweep(service)
  })

const entriesOf = (service: string, judged: ReadonlyArray<Judged>, last: boolean, named: boolean) => [
  // What a definition wants is no subject of a purge, unless it is asked for by name.
  ...judged
    .filter(({ wanted }) => named || !wanted)
    .map(
      ({ container, row, purged, removed, why, nextStep }): PurgedEntry => ({
        ...{ service, component: row.component, observed: observe(row, container, undefined) },
        ...{ purged, removed, why, nextStep }
      })
    ),
  ...(last ? [{ service, component: undefined, observed: "removed" as const, ...goes() } satisfies PurgedEntry] : [])
]

const purgeService = (request: PurgeRequest, service: string) =>
  Effect.gen(function* () {
    const locks = yield* ServiceLocks
    const named = request.service !== undefined
    if (request.dryRun) {
      const holder = yield* locks.holder(service)
      if (Option.isSome(holder) && !holder.value.automatic) {
        return yield* new ServiceBusy({ service, holder: holder.value.act, since: holder.value.since })
      }
      const { judged, last } = yield* judge(request, service, yield* gather(service))
      return entriesOf(service, judged, last, named)
    }
    return yield* locks.withLock(
      service,
      "a purge"
    )(
      Effect.gen(function* () {
        yield* recover(service)
        const facts = yield* gather(service)
        const { judged, last } = yield* judge(request, service, facts)
        const purging = judged.filter(({ purged }) => purged)
        // All that there is of a service is taken away as by an undeploy, which a crash takes forward.
        if (last && facts.service) yield* dropService(facts.service)
        else if (facts.service && purging.length > 0) yield* purgeSome(facts.service, purging)
        return entriesOf(service, judged, last, named)
      })
    )
  }).pipe(Effect.annotateLogs({ service }))

/** A target that is not there and never was is an error; one that has been purged already is none. */
const checkTarget = (service: string, component: string | undefined) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const past = yield* registry.deployments(service, 1000)
    const row =
      past.length === 0 ? yield* findService(service) : Option.getOrUndefined(yield* registry.service(service))
    if (component === undefined) return
    const rows = (yield* registry.components(service)).map((each) => each.component)
    const specs = [...(row ? [row.spec] : []), ...past.map(({ spec }) => spec)]
    const known = new Set([...rows, ...specs.flatMap(({ components }) => components.map((c) => c.name as string))])
    if (!known.has(component)) return yield* new ComponentNotFound({ service, component, known: [...known] })
  })

/**
 * Drops registry entries that are gone, as the runtime has it now, and that no definition wants. Of containers it removes
 * only those that have ended and that a purged entry names. Nothing is gone while the runtime does not answer.
 */
export const purge = (request: PurgeRequest) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    yield* (yield* ContainerRuntime).list
    if (request.service !== undefined) {
      yield* checkTarget(request.service, request.component)
      return yield* purgeService(request, request.service)
    }
    const services = (yield* registry.services).map(({ service }) => service).filter(request.may)
    const entries = yield* Effect.forEach(services, (service) =>
      purgeService(request, service).pipe(
        // One that is busy stops none of the others.
        Effect.catchTag("ServiceBusy", (error) => {
          const { nextStep } = explain(error)
          const entry: PurgedEntry = {
            ...{ service, component: undefined, observed: "unknown", ...stays(error.message, nextStep) }
          }
          return Effect.succeed([entry])
        })
      )
    )
    return entries.flat()
  })
