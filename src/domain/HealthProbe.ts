import { type Allocated, hostPortOf } from "./Ports.ts"
import { parsePort } from "./Scalars.ts"
import type { ComponentSpec } from "./Spec.ts"

/** What the agent does to learn whether a component is healthy; host and port as seen from the node. */
export type HealthProbe =
  | { readonly _tag: "Http"; readonly host: string; readonly port: number; readonly path: string }
  | { readonly _tag: "Tcp"; readonly host: string; readonly port: number }
  | { readonly _tag: "Cmd"; readonly argv: ReadonlyArray<string> }

const reachable = (ip: string | undefined) =>
  ip === undefined || ip === "0.0.0.0" ? "127.0.0.1" : ip === "::" ? "::1" : ip

const targetOf = (component: ComponentSpec, allocated: Allocated): { host: string; port: number } | undefined => {
  const ports = component.ports.flatMap((text) => parsePort(text) ?? []).filter((port) => port.protocol === "tcp")
  const routes = component.routes.map((route) => ({
    route,
    at: { host: "127.0.0.1", port: hostPortOf(component, route, allocated) }
  }))
  const known = (at: { host: string; port: number | undefined } | undefined) =>
    at?.port === undefined ? undefined : { host: at.host, port: at.port }
  const wanted = component.health?.port
  if (typeof wanted === "string") return known(routes.find(({ route }) => route.name === wanted)?.at)
  if (wanted === undefined) {
    if (ports.length + routes.length !== 1) return undefined
    const [port] = ports
    return port ? { host: reachable(port.ip), port: port.host } : known(routes[0]?.at)
  }
  const mapping = ports.find((port) => port.container === wanted)
  if (mapping) return { host: reachable(mapping.ip), port: mapping.host }
  if (component.network === "host") return { host: "127.0.0.1", port: wanted }
  return known(routes.find(({ route }) => route.target === wanted)?.at)
}

/** Every TCP port of the node that leads to a component's container. */
export const tcpTargets = (component: ComponentSpec, allocated: Allocated) => {
  const fixed = component.ports.flatMap((text) => parsePort(text) ?? []).filter((port) => port.protocol === "tcp")
  const routed = component.routes.flatMap((route) => hostPortOf(component, route, allocated) ?? [])
  return [
    ...fixed.map((port) => ({ host: reachable(port.ip), port: port.host })),
    ...routed.map((port) => ({ host: "127.0.0.1", port }))
  ]
}

/**
 * The probe of a component's health check, with the host ports that its container has; undefined without one, or when
 * its port is not reachable from the node.
 */
export const healthProbe = (component: ComponentSpec, allocated: Allocated): HealthProbe | undefined => {
  const health = component.health
  if (health?.cmd !== undefined) return { _tag: "Cmd", argv: health.cmd }
  const target = health && targetOf(component, allocated)
  if (target === undefined) return undefined
  return health?.http !== undefined ? { _tag: "Http", ...target, path: health.http } : { _tag: "Tcp", ...target }
}
