import { Effect, Either, Option } from "effect"
import { assemble, type Part, partOf } from "../domain/Adoption.ts"
import { endedByPolicy } from "../domain/Drift.ts"
import { parse } from "../domain/Image.ts"
import { containerName, Labels } from "../domain/Names.ts"
import { reservedBy } from "../domain/NodeRules.ts"
import { adoptedPorts } from "../domain/Ports.ts"
import type { SecretVersions } from "../domain/Secret.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import { specHash } from "../domain/SpecHash.ts"
import type { DesiredState, ObservedState } from "../domain/State.ts"
import * as Ulid from "../domain/Ulid.ts"
import { updateOrderOf } from "../domain/UpdateOrder.ts"
import { ContainerRuntime, type Description } from "../services/ContainerRuntime.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { type Adoption, type ComponentRow, Registry, type ServiceRow } from "../services/Registry.ts"
import { candidates } from "./adoptable.ts"
import { type Facts, gather } from "./facts.ts"
import { routesTo } from "./oneComponent.ts"
import { NameReserved, NotAdoptable, ServiceBusy } from "./ProgramError.ts"
import { recover } from "./recover.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { takeSecretsBack } from "./takeSecretsBack.ts"
import { brokenRules } from "./validate.ts"

export interface AdoptRequest {
  readonly service: string
  /** Only tells what would be adopted. */
  readonly dryRun: boolean
  readonly actor: string
}

export interface Adopted {
  readonly component: string
  readonly container: string
  readonly containerId: string
  readonly image: string
  /** `label`: from `mcp.definition`; `inspect`: from what podman tells. */
  readonly source: "label" | "inspect"
  readonly observed: ObservedState
  /** Their values are in no label, nor in the files of the container. */
  readonly missingSecrets: ReadonlyArray<string>
}

export interface AdoptResult {
  readonly components: ReadonlyArray<Adopted>
  readonly warnings: ReadonlyArray<string>
}

/** A component that is about to be one of the registry's. */
interface Taken {
  readonly part: Part
  readonly description: Description
}

const nameOf = ({ part }: Taken): string => part.component.name

/** A job that has done its work by its definition is as it should be; what else does not run was stopped. */
const desiredOf = ({ description: { container }, part }: Taken): DesiredState => {
  if (container.state === "running" || container.state === "paused") return "running"
  const done = container.state === "exited" && container.exitCode === 0
  return done && part.source === "label" && endedByPolicy(part.component.restart, 0) ? "running" : "stopped"
}

const observedOf = (taken: Taken): ObservedState => {
  const { state } = taken.description.container
  if (state === "running") return "running"
  return state === "exited" && desiredOf(taken) === "running" ? "exited" : "stopped"
}

const digestOf = ({ description: { image }, part }: Taken) => {
  const asked = parse(part.component.image)
  return image.digests.find((digest) => digest.split("@")[0] === `${asked?.registry}/${asked?.repository}`)
}

/** A label's generation, else one more than the last. */
const generationOf = ({ description: { container } }: Taken, before: ComponentRow | undefined) => {
  const label = container.labels[Labels.generation] ?? ""
  return /^[1-9]\d{0,9}$/.test(label) ? Number(label) : (before?.generation ?? 0) + 1
}

const take = (service: string, component: string, id: string) =>
  Effect.gen(function* () {
    const description = yield* (yield* ContainerRuntime).describe(id)
    return Either.map(partOf(service, component, description), (part): Taken => ({ part, description }))
  })

/** What the containers and the registry come to; refused where it breaks a rule that no deploy may break. */
const specOf = (service: string, taken: ReadonlyArray<Taken>, stored: ServiceRow | undefined) =>
  Effect.gen(function* () {
    const { node } = yield* NodeInfo
    const parts = taken.map(({ part }) => part)
    const assembled = assemble(service, parts, stored?.spec)
    if (assembled === undefined) return undefined
    const { node: elsewhere, ...anywhere } = assembled.spec
    const moved = elsewhere !== undefined && elsewhere !== node
    const runs = taken.some((each) => desiredOf(each) === "running") || stored?.desired === "running"
    const spec: ServiceSpec = { ...(moved ? anywhere : assembled.spec), active: runs }
    const broken = (yield* brokenRules(spec)).filter(({ severity }) => severity === "error")
    // What a component depends on may be gone: a deploy of the definition makes it again.
    const missing = broken.filter(({ code }) => code === "DEPENDENCY_UNKNOWN")
    const [first, ...rest] = broken
      .filter((violation) => !missing.includes(violation))
      .map(({ message, path }) => {
        const component = path[0] === "components" ? spec.components[Number(path[1])] : undefined
        return {
          field: component ? [component.name, ...path.slice(2)].join(".") : path.join("."),
          description: message
        }
      })
    if (first) return yield* new NotAdoptable({ service, violations: [first, ...rest] })
    const warnings = [
      ...assembled.warnings,
      ...(moved ? [`its containers say that it belongs on node ${elsewhere}; this is ${node}`] : []),
      ...missing.map(({ message, path }) => `${spec.components[Number(path[1])]?.name} depends on another: ${message}`)
    ]
    return { spec, warnings }
  })

const adoptionOf = (
  spec: ServiceSpec,
  taken: ReadonlyArray<Taken>,
  facts: Facts,
  actor: string,
  secrets: ReadonlyMap<string, SecretVersions>
): Effect.Effect<Adoption> =>
  Effect.map(Ulid.make, (id) => {
    const service = spec.name
    const byName = new Map(taken.map((each) => [nameOf(each), each]))
    const rows = taken.map((each): Adoption["components"][number] => {
      const { component } = each.part
      const { container, restart } = each.description
      return {
        service,
        component: component.name,
        desired: desiredOf(each),
        specHash: specHash(component),
        generation: generationOf(each, facts.rows.get(component.name)),
        containerId: container.id,
        imageId: container.imageId,
        image: component.image,
        observed: observedOf(each),
        podmanRestart: restart === "no" ? undefined : restart,
        secrets: secrets.get(component.name) ?? {}
      }
    })
    const rowOf = (component: string) => rows.find((row) => row.component === component) ?? facts.rows.get(component)
    return {
      deployment: { id, spec, actor },
      service: {
        ...{ service, spec, undeploying: false, desired: spec.active ? "running" : "stopped" },
        pinnedFrom: facts.service?.pinnedFrom
      },
      components: rows,
      steps: spec.components.map((component) => {
        const now = byName.get(component.name)
        const row = rowOf(component.name)
        return {
          component: component.name,
          action: "unchanged" as const,
          updateOrder: updateOrderOf(component, spec),
          generation: row?.generation ?? 0,
          imageId: row?.imageId,
          imageDigest: now && digestOf(now),
          previousContainerId: row?.containerId,
          previousRan: row?.desired === "running",
          secrets: row?.secrets ?? {}
        }
      }),
      ports: taken.flatMap(({ description, part: { component } }) =>
        [...adoptedPorts(component, description.container.ports, description.env)].map(([route, port]) => ({
          ...{ port, service, route, component: component.name, containerId: description.container.id }
        }))
      ),
      registries: [...new Set(taken.flatMap(({ description }) => description.container.labels[Labels.registry] ?? []))]
    }
  })

/** The same container with its generation, by which its files of secrets are found. */
const holderOf = (service: string, facts: Facts) => (taken: Taken) => ({
  of: { service, component: nameOf(taken), generation: generationOf(taken, facts.rows.get(nameOf(taken))) },
  secrets: taken.part.component.secrets,
  createdAt: taken.description.createdAt
})

const told =
  (secrets: ReadonlyMap<string, SecretVersions>) =>
  (taken: Taken): Adopted => ({
    component: nameOf(taken),
    container: taken.description.container.containerName,
    containerId: taken.description.container.id,
    image: taken.part.component.image,
    source: taken.part.source,
    observed: observedOf(taken),
    missingSecrets: taken.part.component.secrets.filter((name) => secrets.get(nameOf(taken))?.[name] === undefined)
  })

const notes = (taken: Taken) => [
  ...taken.part.warnings,
  ...(taken.description.restart === "no"
    ? []
    : [
        `${nameOf(taken)}: podman itself starts it again (restart policy ${taken.description.restart}), until it is replaced`
      ])
]

/** A port of a route that the registry has given to another container. */
const doubled = (
  adoption: Adoption,
  facts: ReadonlyArray<{ readonly port: number; readonly containerId?: string | undefined }>
) =>
  adoption.ports.flatMap(({ component, containerId, port, route }) =>
    facts.some((row) => row.port === port && row.containerId !== containerId)
      ? [
          `${component}: the host port ${port} of its route ${route} is another component's in the registry; deploy it again with --force`
        ]
      : []
  )

const adoptLocked = <E, R>(
  { actor, dryRun, service }: AdoptRequest,
  allow: (spec: ServiceSpec) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    if (!dryRun) yield* recover(service)
    const facts = yield* gather(service)
    if (facts.service?.undeploying) {
      return yield* new ServiceBusy({ service, holder: "an undeploy", since: facts.service.updatedAt })
    }
    const { chosen, warnings } = yield* candidates(service, facts)
    const results = yield* Effect.forEach(chosen, ({ component, container }) =>
      Effect.map(take(service, component, container.id), (result) =>
        Either.mapLeft(result, (description) => ({ field: container.containerName, description }))
      )
    )
    const [first, ...rest] = results.flatMap((result) => (Either.isLeft(result) ? [result.left] : []))
    if (first) return yield* new NotAdoptable({ service, violations: [first, ...rest] })
    const taken = results.flatMap((result) => (Either.isRight(result) ? [result.right] : []))
    const made = taken.length === 0 ? undefined : yield* specOf(service, taken, facts.service)
    if (made === undefined) return { components: [], warnings } satisfies AdoptResult
    yield* allow(made.spec)
    const secrets = yield* takeSecretsBack(taken.map(holderOf(service, facts)), { actor, dryRun })
    const adoption = yield* adoptionOf(made.spec, taken, facts, actor, secrets)
    const all = [...warnings, ...made.warnings, ...taken.flatMap(notes), ...doubled(adoption, yield* registry.ports())]
    const result = { components: taken.map(told(secrets)), warnings: all } satisfies AdoptResult
    if (dryRun) return result
    for (const { component, container } of chosen) {
      const name = containerName(service, component)
      // Before the rows: cut off here, the next adopt finds it under its name.
      if (container.containerName !== name) yield* runtime.rename(container.id, name)
    }
    yield* registry.adopt(adoption)
    const stored = Option.getOrThrow(yield* registry.service(service))
    const serving = taken.filter((each) => desiredOf(each) === "running").map(({ part }) => part.component)
    const routed = yield* Effect.either(routesTo(stored, serving))
    return Either.isRight(routed)
      ? result
      : { ...result, warnings: [...all, `routes are as they were: ${routed.left.message}`] }
  })

/**
 * Takes the unmanaged containers of a service into the registry as they are: none is stopped, started or made anew. Said
 * twice it changes nothing. `allow` may refuse what the service reaches.
 */
export const adopt = <E, R>(request: AdoptRequest, allow: (spec: ServiceSpec) => Effect.Effect<void, E, R>) =>
  Effect.gen(function* () {
    const { service } = request
    const { filesRoot, ownPaths } = yield* NodeInfo
    if (reservedBy(filesRoot, service, ownPaths)) return yield* new NameReserved({ service })
    return yield* (yield* ServiceLocks).withLock(service, "an adopt")(adoptLocked(request, allow))
  }).pipe(Effect.annotateLogs({ service: request.service }))
