import { Effect, Random } from "effect"
import { portRange, routeKey, routesToAllocate } from "../domain/Ports.ts"
import { parsePort } from "../domain/Scalars.ts"
import type { ComponentSpec } from "../domain/Spec.ts"
import { HostPorts } from "../services/HostPorts.ts"
import { Registry } from "../services/Registry.ts"
import { PortsExhausted } from "./ProgramError.ts"

/** The fixed host ports of all stored specs: none of them is given away, whether its service runs or not. */
const fixedPorts = Effect.gen(function* () {
  const services = yield* (yield* Registry).services
  return new Set(
    services.flatMap(({ spec }) =>
      spec.components.flatMap((component) => component.ports.flatMap((text) => parsePort(text)?.host ?? []))
    )
  )
})

const size = portRange.last - portRange.first + 1

/**
 * A host port for each route that needs one, as rows that no container has yet. The search begins anywhere in the range,
 * so that a port just released is not soon another service's: somebody may still call it. `preferred` ports come first.
 */
export const allocatePorts = (
  service: string,
  component: ComponentSpec,
  deployment: string,
  preferred: ReadonlyMap<string, number> = new Map()
) =>
  Effect.gen(function* () {
    const routes = routesToAllocate(component)
    const allocated = new Map<string, number>()
    if (routes.length === 0) return allocated
    const registry = yield* Registry
    const host = yield* HostPorts
    const fixed = yield* fixedPorts
    const given = new Set((yield* registry.ports()).map((row) => row.port))
    const take = (route: string, port: number) =>
      Effect.gen(function* () {
        if (fixed.has(port) || given.has(port)) return false
        if (!(yield* host.isFree({ ip: "127.0.0.1", port, protocol: "tcp" }))) return false
        return yield* registry.reservePort({ port, service, component: component.name, route, deployment })
      })
    for (const route of routes) {
      const key = routeKey(route)
      const first = yield* Random.nextIntBetween(0, size)
      const wanted = preferred.get(key)
      let found: number | undefined
      for (let i = wanted === undefined ? 0 : -1; i < size && found === undefined; i++) {
        const port = i < 0 ? (wanted ?? portRange.first) : portRange.first + ((first + i) % size)
        if (yield* take(key, port)) found = port
      }
      if (found === undefined) return yield* new PortsExhausted({ service, component: component.name })
      allocated.set(key, found)
    }
    return allocated
  })
