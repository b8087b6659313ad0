import { Effect, Option } from "effect"
import { endedByPolicy } from "../../src/domain/Drift.ts"
import { containerName, Labels, serviceNetwork } from "../../src/domain/Names.ts"
import { routesToAllocate } from "../../src/domain/Ports.ts"
import { specHash } from "../../src/domain/SpecHash.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"

/**
 * What must hold of a service whenever no act is under way, whatever happened before: nothing lost, doubled or left
 * over. Answers one line for each thing that is not so.
 */
export const violations = (service: string, networks: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const found: Array<string> = []
    const stored = Option.getOrUndefined(yield* registry.service(service))
    const rows = yield* registry.components(service)
    // An adopted container carries another registry's labels, or none.
    const own = (yield* runtime.list).filter(
      ({ id, labels }) =>
        (labels[Labels.registry] === registry.id && labels[Labels.service] === service) ||
        rows.some((row) => row.containerId === id)
    )
    const ports = yield* registry.ports(service)

    for (const deployment of (yield* registry.unfinishedDeployments).filter((d) => d.service === service)) {
      found.push(`deployment ${deployment.id} is still ${deployment.state}`)
    }
    for (const restore of (yield* registry.restores).filter((row) => row.service === service)) {
      found.push(`restore ${restore.id} is still ${restore.state}`)
    }
    if ((yield* registry.unswept).includes(service)) found.push("what acts left behind is not swept")
    if (stored?.undeploying) found.push("the service is still undeploying")
    if (stored === undefined && rows.length > 0) found.push("components without a service")
    for (const component of stored?.spec.components ?? []) {
      const row = rows.find((each) => each.component === component.name)
      if (row === undefined) {
        found.push(`${component.name} has no row`)
        continue
      }
      // What is not to run is made from the new spec when it is to run again.
      if (row.desired === "running" && row.specHash !== specHash(component)) {
        found.push(`${component.name}'s row is of another spec`)
      }
      const container = own.find(({ id }) => id === row.containerId)
      const rests = (yield* registry.restarts).some((each) => each.containerId === row.containerId && each.rests)
      if (row.desired === "running" && container === undefined && !rests)
        found.push(`${component.name}'s container is lost`)
      if (container === undefined) continue
      const name = containerName(service, component.name)
      if (container.containerName !== name) found.push(`${name} is called ${container.containerName}`)
      const labelled = container.labels[Labels.registry] !== undefined
      if (labelled && container.labels[Labels.spec] !== row.specHash) found.push(`${name} was made from another spec`)
      const done = container.state === "exited" && endedByPolicy(component.restart, container.exitCode)
      if (row.desired === "running" && container.state !== "running" && !done) {
        found.push(`${name} is ${container.state}`)
      }
      if (row.desired === "stopped" && container.state === "running") found.push(`${name} runs, and should not`)
      const fresh = row.specHash === specHash(component)
      if (labelled && container.labels[Labels.generation] !== String(row.generation)) {
        found.push(`${name} is generation ${container.labels[Labels.generation]} instead of ${row.generation}`)
      }
      if (row.desired === "running" && row.imageId !== undefined && container.imageId !== row.imageId) {
        found.push(`${name} runs image ${container.imageId} instead of ${row.imageId}`)
      }
      if (component.network === undefined && fresh && !networks.includes(serviceNetwork(service))) {
        found.push(`network ${serviceNetwork(service)} is lost`)
      }
      const mapped =
        component.network === "host" || !fresh ? [] : ports.filter((row) => row.containerId === container.id)
      for (const { port } of mapped) {
        if (!container.ports.some((text) => text.startsWith(`127.0.0.1:${port}:`))) {
          found.push(`${name} does not publish its port ${port}`)
        }
      }
      const held = ports.filter(({ containerId }) => containerId === container.id).length
      const wanted = routesToAllocate(component).length
      // A container of an older spec stays as it is while it is not to run.
      if (held !== wanted && fresh) found.push(`${name} has ${held} ports instead of ${wanted}`)
    }
    for (const container of own.filter(({ id }) => !rows.some((row) => row.containerId === id))) {
      found.push(`${container.containerName} (${container.id}) is left over`)
    }
    for (const port of ports.filter(({ containerId }) => !own.some(({ id }) => id === containerId))) {
      found.push(`port ${port.port} belongs to no container`)
    }
    const specs = new Map(stored?.spec.components.map((component) => [component.name as string, specHash(component)]))
    const older = rows.some((row) => specs.get(row.component) !== row.specHash)
    const bridged = older || (stored?.spec.components.some((component) => component.network === undefined) ?? false)
    if (!bridged && networks.includes(serviceNetwork(service)))
      found.push(`network ${serviceNetwork(service)} is left over`)
    return found
  })
