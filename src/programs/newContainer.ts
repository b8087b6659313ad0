import { containerName, Labels, serviceNetwork } from "../domain/Names.ts"
import { type Allocated, portEnv, routeMappings } from "../domain/Ports.ts"
import { mountedAt } from "../domain/Secret.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { canonicalService, specHash } from "../domain/SpecHash.ts"
import type { NewContainer } from "../services/ContainerRuntime.ts"

/** Who makes a container, and what was decided for it beyond its spec. */
export interface Making {
  readonly node: string
  readonly registry: string
  readonly deployment: string
  readonly generation: number
  /** By id, so that a name that moves meanwhile changes nothing. */
  readonly imageId: string
  readonly allocated: Allocated
  /** Where on the node each of its secrets is a file. */
  readonly secretFile: (secret: string) => string
}

/** The container of one component, with the labels that prove whose it is. */
export const newContainer = (spec: ServiceSpec, component: ComponentSpec, by: Making): NewContainer => {
  const own = component.network === undefined
  const container = containerName(spec.name, component.name)
  return {
    containerName: container,
    image: by.imageId,
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
    env: { ...component.env, ...portEnv(component, by.allocated) },
    cmd: component.cmd,
    entrypoint: component.entrypoint,
    user: component.user,
    network: {
      to: component.network ?? serviceNetwork(spec.name),
      aliases: own ? [component.name] : []
    },
    ports: [...component.ports, ...routeMappings(component, by.allocated)],
    volumes: [
      ...component.volumes,
      ...component.secrets.map((secret) => `${by.secretFile(secret)}:${mountedAt(secret)}:ro`)
    ],
    memory: component.memory,
    cpus: component.cpus,
    stopTimeoutSeconds: Math.ceil(component.stopTimeout / 1000)
  }
}
