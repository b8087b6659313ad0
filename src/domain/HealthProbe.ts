import { parsePort } from "./Scalars.ts"
import type { ComponentSpec } from "./Spec.ts"

/** What the agent does to learn whether a component is healthy; host and port as seen from the node. */
export type HealthProbe =
  | { readonly _tag: "Http"; readonly host: string; readonly port: number; readonly path: string }
  | { readonly _tag: "Tcp"; readonly host: string; readonly port: number }
  | { readonly _tag: "Cmd"; readonly argv: ReadonlyArray<string> }

const reachable = (ip: string | undefined) =>
  ip === undefined || ip === "0.0.0.0" ? "127.0.0.1" : ip === "::" ? "::1" : ip

const targetOf = (component: ComponentSpec): { host: string; port: number } | undefined => {
  const ports = component.ports.flatMap((text) => parsePort(text) ?? []).filter((port) => port.protocol === "tcp")
  const { routes } = component
  const [only, ...others] = [...ports.map((port) => port.container), ...routes.map((route) => route.target)]
  const named = component.health?.port ?? (others.length === 0 ? only : undefined)
  const wanted = typeof named === "string" ? routes.find((route) => route.name === named)?.target : named
  if (component.network === "host" && typeof wanted === "number") return { host: "127.0.0.1", port: wanted }
  const mapping = ports.find((port) => port.container === wanted)
  return mapping && { host: reachable(mapping.ip), port: mapping.host }
}

/** The probe of a component's health check; undefined without one, or when its port is not reachable from the node. */
export const healthProbe = (component: ComponentSpec): HealthProbe | undefined => {
  const health = component.health
  if (health?.cmd !== undefined) return { _tag: "Cmd", argv: health.cmd }
  const target = health && targetOf(component)
  if (target === undefined) return undefined
  return health?.http !== undefined ? { _tag: "Http", ...target, path: health.http } : { _tag: "Tcp", ...target }
}
