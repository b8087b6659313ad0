import { containerName, Labels, serviceNetwork } from "../domain/Names.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { canonicalService, specHash } from "../domain/SpecHash.ts"
import type { NewContainer } from "../services/ContainerRuntime.ts"

/** The container of one component, with the labels that prove whose it is. */
export const newContainer = (
  spec: ServiceSpec,
  component: ComponentSpec,
  by: { readonly node: string; readonly registry: string; readonly deployment: string; readonly generation: number }
): NewContainer => {
  const own = component.network === undefined
  const container = containerName(spec.name, component.name)
  return {
    containerName: container,
    image: component.image,
    labels: {
      [Labels.node]: by.node,
      [Labels.service]: spec.name,
      [Labels.component]: component.name,
      [Labels.generation]: String(by.generation),
      [Labels.registry]: by.registry,
      [Labels.deployment]: by.deployment,
      [Labels.definition]: canonicalService({ ...spec, components: [component] }),
      [Labels.spec]: specHash(component)
    },
    env: component.env,
    cmd: component.cmd,
    entrypoint: component.entrypoint,
    user: component.user,
    network: {
      to: component.network ?? serviceNetwork(spec.name),
      aliases: own ? [component.name] : []
    },
    ports: component.ports,
    volumes: component.volumes,
    memory: component.memory,
    cpus: component.cpus,
    stopTimeoutSeconds: Math.ceil(component.stopTimeout / 1000)
  }
}
