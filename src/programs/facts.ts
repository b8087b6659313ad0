import { Effect } from "effect"
import { containerName, Labels } from "../domain/Names.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, Registry } from "../services/Registry.ts"

/** What the registry and the runtime know of one service. */
export interface Facts {
  readonly rows: ReadonlyMap<string, ComponentRow>
  /** The container that each component's row names, where it still exists. */
  readonly current: ReadonlyMap<string, Container>
  /** By name: all containers of the node. */
  readonly byName: ReadonlyMap<string, Container>
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
      rows: new Map(rows.map((row) => [row.component, row])),
      current,
      byName: new Map(containers.map((container) => [container.containerName, container]))
    } satisfies Facts
  })

/** Components under whose container name something stands that no row names. */
export const strangers = (spec: ServiceSpec, facts: Facts) =>
  spec.components.flatMap((component) => {
    const name = containerName(spec.name, component.name)
    const there = facts.byName.get(name)
    return there && there.id !== facts.current.get(component.name)?.id ? [{ component: component.name, name }] : []
  })

/** Whether this registry made the container for the deployment. */
export const madeBy = (container: Container, registry: string, deployment: string): boolean =>
  container.labels[Labels.registry] === registry && container.labels[Labels.deployment] === deployment
