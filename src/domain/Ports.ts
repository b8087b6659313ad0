import { parsePort } from "./Scalars.ts"
import type { ComponentSpec, Route } from "./Spec.ts"

/** Above it Linux takes ports for outgoing connections (net.ipv4.ip_local_port_range). */
export const portRange = { first: 10_000, last: 32_767 } as const

/** By route name, empty for a lone route without one: the host port that the agent gave it. */
export type Allocated = ReadonlyMap<string, number>

export const routeKey = (route: Pick<Route, "name">): string => route.name ?? ""

/** On the host's own network a program with a `target` listens where it says: there is nothing to map. */
const listensOnHost = (component: Pick<ComponentSpec, "network">, route: Route) =>
  component.network === "host" && route.target !== undefined

/** The routes that need a host port of their own. */
export const routesToAllocate = (component: Pick<ComponentSpec, "network" | "routes">): ReadonlyArray<Route> =>
  component.routes.filter((route) => !listensOnHost(component, route))

/** The host name of a route; one that names none is the service's own, in the node's zone when it has one. */
export const hostnameOf = (service: string, route: Pick<Route, "hostname">, zone: string | undefined): string =>
  route.hostname ?? (zone === undefined ? service : `${service}.${zone}`)

/** Where on the node a route's requests go; undefined before its port is allocated. */
export const hostPortOf = (
  component: Pick<ComponentSpec, "network">,
  route: Route,
  allocated: Allocated
): number | undefined => (listensOnHost(component, route) ? route.target : allocated.get(routeKey(route)))

/** `127.0.0.1:host:container` for each allocated port; none on the host's network. */
export const routeMappings = (component: ComponentSpec, allocated: Allocated): ReadonlyArray<string> =>
  component.network === "host"
    ? []
    : routesToAllocate(component).flatMap((route) => {
        const host = allocated.get(routeKey(route))
        return host === undefined ? [] : [`127.0.0.1:${host}:${route.target ?? host}`]
      })

export const portVariable = (route: string): string => `PORT_${route.toUpperCase().replaceAll("-", "_")}`

/** Where the program is to listen: `$PORT_<NAME>` for a route with a name, `$PORT` for a lone one. */
export const portEnv = (component: ComponentSpec, allocated: Allocated): Readonly<Record<string, string>> =>
  Object.fromEntries(
    component.routes.flatMap((route) => {
      const port = route.target ?? allocated.get(routeKey(route))
      if (port === undefined) return []
      return [
        ...(component.routes.length === 1 ? [["PORT", String(port)]] : []),
        ...(route.name === undefined ? [] : [[portVariable(route.name), String(port)]])
      ]
    })
  )

/**
 * By route, the host ports that a container was given for its routes when it was made: a route with a target by the
 * mapping to that port, one without by the variable that tells the program where to listen.
 */
export const adoptedPorts = (
  component: ComponentSpec,
  published: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>
): Allocated => {
  const free = published
    .filter((text) => !component.ports.includes(text))
    .flatMap((text) => parsePort(text) ?? [])
    .filter(({ ip, protocol }) => ip === "127.0.0.1" && protocol === "tcp")
  const found = new Map<string, number>()
  for (const route of routesToAllocate(component)) {
    const variable = route.name === undefined ? "PORT" : portVariable(route.name)
    const said = Number(env[variable])
    const at = free.findIndex(({ container }) => container === (route.target ?? said))
    const port = free[at]?.host ?? (component.network === "host" && said > 0 ? said : undefined)
    if (at >= 0) free.splice(at, 1)
    if (port !== undefined) found.set(routeKey(route), port)
  }
  return found
}
