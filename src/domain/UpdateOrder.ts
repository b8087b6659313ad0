import { parseVolume } from "./Scalars.ts"
import type { ComponentSpec, ServiceSpec, UpdateOrder } from "./Spec.ts"

/**
 * In which order a component is replaced. Start-first where two of it at once do no harm: it has a route to hand over,
 * is known on the service's own bridge only, has nothing that one alone can hold (a fixed host port, a volume that it
 * writes), and no sibling depends on it.
 */
export const updateOrderOf = (component: ComponentSpec, spec: Pick<ServiceSpec, "components">): UpdateOrder => {
  if (component.updateOrder !== undefined) return component.updateOrder
  const writes = component.volumes.some((text) => parseVolume(text)?.readOnly === false)
  const needed = spec.components.some((other) => other.dependsOn.includes(component.name))
  const alone = component.network !== undefined || component.ports.length > 0 || writes || needed
  return component.routes.length > 0 && !alone ? "start-first" : "stop-first"
}
