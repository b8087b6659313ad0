import { Array as Arr, Effect } from "effect"
import { containerName, previousName } from "../domain/Names.ts"
import { nearest } from "../domain/nearest.ts"
import { unmanagedOf } from "../domain/Unmanaged.ts"
import type { Container } from "../services/ContainerRuntime.ts"
import { Registry } from "../services/Registry.ts"
import type { Facts } from "./facts.ts"
import { NotAdoptable, NothingToAdopt } from "./ProgramError.ts"
import { unmanaged } from "./unmanaged.ts"

/** The one container that is to be a component's. */
export interface Candidate {
  readonly component: string
  readonly container: Container
}

/** The container under the component's own name, then the one set aside, then what runs. */
const rank = (name: string, { containerName, state }: Container) =>
  containerName === name ? 0 : containerName === previousName(name) ? 1 : state === "running" ? 2 : 3

const remains = (component: string, { containerName, state }: Container) => {
  const force = state === "running" ? " --force" : ""
  return `${containerName} stays unmanaged, since ${component} has a container; on the node, this removes it: podman rm${force} ${containerName}`
}

/** The unmanaged containers of a service, its name among the known ones. */
export const unmanagedOfService = (service: string, containers: ReadonlyArray<Container>) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const all = yield* unmanaged(containers)
    const free = new Set(all.map(({ container }) => container.id))
    const explained = new Set(containers.filter(({ id }) => !free.has(id)).map(({ id }) => id))
    const services = (yield* registry.services).map((row) => row.service)
    const mine = unmanagedOf(explained, [...services, service], containers).flatMap(({ container, place }) =>
      place?.service === service ? [{ component: place.component, container }] : []
    )
    return { mine, others: all.flatMap(({ place }) => (place ? [place.service] : [])) }
  })

/**
 * One unmanaged container for each component of a service that has none; the others are named in the warnings. Fails
 * where nothing is of the service, and where a container cannot have its component's name.
 */
export const candidates = (service: string, facts: Facts) =>
  Effect.gen(function* () {
    const { mine, others } = yield* unmanagedOfService(service, facts.containers)
    if (mine.length === 0 && facts.service === undefined) {
      const near = nearest(service, others)
      return yield* new NothingToAdopt({ service, ...(near === undefined ? {} : { nearest: near }) })
    }
    const byComponent = Object.entries(Arr.groupBy(mine, ({ component }) => component))
    const chosen: Array<Candidate> = []
    const warnings: Array<string> = []
    for (const [component, found] of byComponent) {
      const name = containerName(service, component)
      const inOrder = found.map(({ container }) => container).sort((a, b) => rank(name, a) - rank(name, b))
      const [first, ...rest] = facts.current.has(component) ? [undefined, ...inOrder] : inOrder
      if (first) chosen.push({ component, container: first })
      warnings.push(...rest.flatMap((container) => (container ? [remains(component, container)] : [])))
    }
    const taken = new Map(facts.containers.map((container) => [container.containerName, container.id]))
    const [clash, ...clashes] = chosen.flatMap(({ component, container }) => {
      const name = containerName(service, component)
      const holder = taken.get(name)
      return holder === undefined || holder === container.id
        ? []
        : [{ field: container.containerName, description: `another container has the name ${name} of its component` }]
    })
    if (clash) return yield* new NotAdoptable({ service, violations: [clash, ...clashes] })
    const renamed = chosen.flatMap(({ component, container }) => {
      const name = containerName(service, component)
      return container.containerName === name
        ? []
        : [`${component}: ${container.containerName} is called ${name} again`]
    })
    return { chosen: chosen.sort((a, b) => (a.component < b.component ? -1 : 1)), warnings: [...renamed, ...warnings] }
  })
