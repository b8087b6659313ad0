import { Effect, Option } from "effect"
import { Labels } from "../domain/Names.ts"
import { type Place, unmanagedOf } from "../domain/Unmanaged.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { Registry } from "../services/Registry.ts"

/** A container that no row explains, and what adopt would take it for; without a place it cannot be taken. */
export interface Unmanaged {
  readonly container: Container
  readonly place: Place | undefined
}

/** What rows name by its id: components' containers, those of deployments under way, and what is still to be removed. */
const namedIds = Effect.gen(function* () {
  const registry = yield* Registry
  const rows = (yield* registry.components()).flatMap(({ containerId }) => containerId ?? [])
  const steps = yield* Effect.forEach(yield* registry.unfinishedDeployments, ({ id }) => registry.steps(id))
  const moving = steps.flat().flatMap((step) => [step.newContainerId ?? [], step.previousContainerId ?? []].flat())
  return [...rows, ...moving, ...(yield* registry.replaced())]
})

/** Whether it was made for a deployment of this registry that is not cleared away yet. */
const isPassing = ({ labels }: Container) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    if (labels[Labels.registry] !== registry.id) return false
    const deployment = yield* registry.deployment(labels[Labels.deployment] ?? "")
    return Option.exists(deployment, ({ service, swept }) => !swept && service === labels[Labels.service])
  })

/**
 * The containers of the node, as `ContainerRuntime.list` has them, that no row explains; `defined` are services that are
 * known beside the registry's.
 */
export const unmanaged = (containers: ReadonlyArray<Container>, defined: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const services = [...defined, ...(yield* registry.services).map(({ service }) => service)]
    const named = new Set(yield* namedIds)
    const left = containers.filter(({ id }) => !named.has(id))
    const passing = yield* Effect.filter(left, isPassing)
    const explained = new Set([...named, ...passing.map(({ id }) => id)])
    return unmanagedOf(explained, services, containers) satisfies ReadonlyArray<Unmanaged>
  })

/** A container that no row explains, and whose it would be. */
export interface UnknownContainer extends Place {
  readonly container: Container
}

/** Those that carry MCP's labels, or a name of the form that a known service's have; somebody else's are their own affair. */
export const unknownContainers = (defined: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const containers = yield* (yield* ContainerRuntime).list
    const known = new Set([...defined, ...(yield* (yield* Registry).services).map(({ service }) => service)])
    const found = (yield* unmanaged(containers, defined)).flatMap(
      ({ container, place }): ReadonlyArray<UnknownContainer> =>
        place !== undefined && (Labels.service in container.labels || known.has(place.service))
          ? [{ container, ...place }]
          : []
    )
    return found.sort((a, b) => (a.container.containerName < b.container.containerName ? -1 : 1))
  })
