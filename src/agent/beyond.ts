import { Effect } from "effect"
import { parseVolume } from "../domain/Scalars.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { authorizeBeyond } from "./CallerContext.ts"

/** What of a spec lies outside the service's own folder and bridge. */
const beyond = (spec: ServiceSpec, filesRoot: string): ReadonlyArray<string> => {
  const own = `${filesRoot}/${spec.name}`
  const outside = (component: ComponentSpec) =>
    component.volumes.filter((text) => {
      const source = parseVolume(text)?.source ?? ""
      return source !== own && !source.startsWith(`${own}/`)
    })
  return spec.components.flatMap((component) => [
    ...outside(component).map((volume) => `volume ${volume}`),
    ...(component.network === undefined || component.network === "none" ? [] : [`network ${component.network}`]),
    ...component.routes.flatMap((route) => (route.hostname === undefined ? [] : [`hostname ${route.hostname}`]))
  ])
}

/** Refuses a caller narrowed to services a spec that reaches beyond the service. */
export const authorizeSpec = (spec: ServiceSpec) =>
  Effect.flatMap(NodeInfo, ({ filesRoot }) => authorizeBeyond(spec.name, beyond(spec, filesRoot)))
