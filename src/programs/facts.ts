import { Effect, Option } from "effect"
import { Labels } from "../domain/Names.ts"
import type { Allocated } from "../domain/Ports.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, type PortRow, Registry, type ServiceRow } from "../services/Registry.ts"

/** What the registry and the runtime know of one service. */
export interface Facts {
  readonly service: ServiceRow | undefined
  readonly rows: ReadonlyMap<string, ComponentRow>
  /** The container that each component's row names, where it still exists. */
  readonly current: ReadonlyMap<string, Container>
  /** All containers of the node. */
  readonly containers: ReadonlyArray<Container>
  /** The host ports that the agent has given to the service's routes. */
  readonly ports: ReadonlyArray<PortRow>
}

/** Only what a row names by its id is a component's container: a name proves nothing. */
export const gather = (service: string) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const rows = yield* registry.components(service)
    const containers = yield* runtime.list
    const byId = new Map(containers.map((container) => [container.id, container]))
    const current = new Map<string, Container>()
    for (const row of rows) {
      const container = row.containerId === undefined ? undefined : byId.get(row.containerId)
      if (container) current.set(row.component, container)
    }
    return {
      service: Option.getOrUndefined(yield* registry.service(service)),
      rows: new Map(rows.map((row) => [row.component, row])),
      current,
      containers,
      ports: yield* registry.ports(service)
    } satisfies Facts
  })

/** Whether this registry made the container for the deployment. */
export const madeBy = (container: Container, registry: string, deployment: string): boolean =>
  container.labels[Labels.registry] === registry && container.labels[Labels.deployment] === deployment

/** The host ports that belong to a container, by route. */
export const allocatedTo = (ports: ReadonlyArray<PortRow>, container: string | undefined): Allocated =>
  new Map(
    container === undefined
      ? []
      : ports.filter((row) => row.containerId === container).map((row) => [row.route, row.port])
  )
