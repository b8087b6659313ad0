import { Schema } from "effect"
import { ComponentName, Labels, ServiceName } from "./Names.ts"

interface Named {
  readonly id: string
  readonly containerName: string
  readonly labels: Readonly<Record<string, string>>
}

/** What a container is a component of. */
export interface Place {
  readonly service: string
  readonly component: string
}

const isService = Schema.is(ServiceName)
const isComponent = Schema.is(ComponentName)

const ofLabels = ({ labels }: Pick<Named, "labels">): Place | undefined => {
  const [service = "", component = ""] = [labels[Labels.service], labels[Labels.component]]
  return isService(service) && isComponent(component) ? { service, component } : undefined
}

/** A container that a deployment set aside is of the component whose name it will have again. */
const withoutSuffix = (name: string) => name.replace(/\.prev$/, "")

const ofName = (name: string, services: ReadonlyArray<string>): Place | undefined => {
  const places = services.flatMap((service): ReadonlyArray<Place> => {
    if (name === service) return [{ service, component: service }]
    const component = name.slice(service.length + 1)
    return name.startsWith(`${service}-`) && isComponent(component) ? [{ service, component }] : []
  })
  // `a-b-c` with the services `a` and `a-b` is of `a-b`.
  const [longest] = places.sort((a, b) => b.service.length - a.service.length)
  return longest ?? (isService(name) ? { service: name, component: name } : undefined)
}

/** By its labels, else by its name: of the known service that its name begins with, else one by itself. */
export const placeOf = (container: Named, services: ReadonlyArray<string>): Place | undefined =>
  ofLabels(container) ?? ofName(withoutSuffix(container.containerName), services)

/** The known services: those of the registry, and those that labels name. */
export const servicesOf = (
  registered: ReadonlyArray<string>,
  containers: ReadonlyArray<Named>
): ReadonlyArray<string> => [
  ...new Set([...registered, ...containers.flatMap((container) => ofLabels(container)?.service ?? [])])
]

/** The containers of a node that none of these ids explain, each with what it would be a component of. */
export const unmanagedOf = <C extends Named>(
  explained: ReadonlySet<string>,
  services: ReadonlyArray<string>,
  containers: ReadonlyArray<C>
): ReadonlyArray<{ readonly container: C; readonly place: Place | undefined }> => {
  const known = servicesOf(services, containers)
  return containers
    .filter(({ id }) => !explained.has(id))
    .map((container) => ({ container, place: placeOf(container, known) }))
}
