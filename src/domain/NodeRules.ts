import { dirname, join, normalize } from "node:path/posix"
import { containerName, reservedNames } from "./Names.ts"
import { hostnameOf } from "./Ports.ts"
import { parseVolume } from "./Scalars.ts"
import type { Route, ServiceSpec } from "./Spec.ts"
import { type Violation, violation } from "./Violation.ts"

/** Container names that components of this service would share with another's: `a-b` + `c` and `a` + `b-c`. */
export const checkContainerNames = (
  spec: ServiceSpec,
  others: ReadonlyArray<{ readonly service: string; readonly components: ReadonlyArray<string> }>
): ReadonlyArray<Violation> => {
  const taken = new Map(
    others
      .filter(({ service }) => service !== spec.name)
      .flatMap(({ service, components }) =>
        components.map((c) => [containerName(service, c), `${service}/${c}`] as const)
      )
  )
  return spec.components.flatMap((component, i) => {
    const name = containerName(spec.name, component.name)
    const owner = taken.get(name)
    return owner
      ? [
          violation(
            ["components", i, "name"],
            "CONTAINER_NAME_COLLISION",
            `its container would be ${name}, which ${owner} has`
          )
        ]
      : []
  })
}

/** Routes of this service that lead elsewhere already: one hostname and port is one service's. */
export const checkRoutes = (
  spec: ServiceSpec,
  others: ReadonlyArray<ServiceSpec>,
  zone: string | undefined
): ReadonlyArray<Violation> => {
  const keyOf = (service: string, route: Route) => `${hostnameOf(service, route, zone)}:${route.port}`
  const taken = new Map(
    others
      .filter(({ name }) => name !== spec.name)
      .flatMap(({ components, name }) =>
        components.flatMap((c) => c.routes.map((route) => [keyOf(name, route), `${name}/${c.name}`] as const))
      )
  )
  return spec.components.flatMap((component, c) =>
    component.routes.flatMap((route, r) => {
      const key = keyOf(spec.name, route)
      const owner = taken.get(key)
      return owner === undefined
        ? []
        : [violation(["components", c, "routes", r], "ROUTE_TAKEN", `${key} is a route of ${owner} already`)]
    })
  )
}

const within = (path: string, folder: string) => path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`)

/**
 * Whether the service's folder would be, hold, or lie in the folder of one of the agent's own files. An own file right
 * in `filesRoot` reserves its own name only: the services beside it do not reach it.
 */
export const reservedBy = (filesRoot: string, service: string, ownPaths: ReadonlyArray<string>): boolean => {
  if (reservedNames.includes(service)) return true
  const [root, folder] = [normalize(filesRoot).replace(/(.)\/$/, "$1"), join(filesRoot, service)]
  return ownPaths.map(normalize).some((path) => {
    const own = dirname(path)
    return within(path, folder) || (within(folder, own) && !within(root, own))
  })
}

/** Volumes through which a container would reach the agent's own files. */
export const checkVolumes = (spec: ServiceSpec, ownPaths: ReadonlyArray<string>): ReadonlyArray<Violation> => {
  const own = ownPaths.map(normalize)
  return spec.components.flatMap((component, c) =>
    component.volumes.flatMap((text, i) => {
      const source = parseVolume(text)?.source ?? ""
      return source.startsWith("/") && own.some((path) => within(path, source) || within(source, dirname(path)))
        ? [violation(["components", c, "volumes", i], "NAME_RESERVED", `${source} would reach the agent's own files`)]
        : []
    })
  )
}
