import { Effect, Option, Schema } from "effect"
import { ComponentName, Labels } from "../domain/Names.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { Registry } from "../services/Registry.ts"

/** A container that no row explains, and whose it would be. */
export interface UnknownContainer {
  readonly container: Container
  readonly service: string
  readonly component: string
}

const isComponent = Schema.is(ComponentName)

/** By its labels, else by its name: the longest known service that it begins with. */
const ownerOf = ({ containerName, labels }: Container, known: ReadonlyArray<string>) => {
  const [service, component] = [labels[Labels.service], labels[Labels.component]]
  if (service !== undefined) return { service, component: component ?? service }
  const longest = known
    .filter((name) => containerName === name || containerName.startsWith(`${name}-`))
    .sort((a, b) => b.length - a.length)[0]
  if (longest === undefined) return undefined
  const rest = containerName === longest ? longest : containerName.slice(longest.length + 1)
  return isComponent(rest) ? { service: longest, component: rest } : undefined
}

/**
 * Containers that carry MCP's labels, or a name of the form that a known service's have, and that no row explains: no
 * component has them, and no deployment of this registry's intended them.
 */
export const unknownContainers = (defined: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const known = [...new Set([...defined, ...(yield* registry.services).map(({ service }) => service)])]
    const explained = new Set((yield* registry.components()).map(({ containerId }) => containerId))
    const found: Array<UnknownContainer> = []
    for (const container of yield* (yield* ContainerRuntime).list) {
      const owner = ownerOf(container, known)
      if (owner === undefined || explained.has(container.id)) continue
      const { labels } = container
      const intended =
        labels[Labels.registry] === registry.id
          ? yield* registry.deployment(labels[Labels.deployment] ?? "")
          : Option.none()
      if (Option.exists(intended, ({ service }) => service === owner.service)) continue
      found.push({ container, ...owner })
    }
    return found.sort((a, b) => (a.container.containerName < b.container.containerName ? -1 : 1))
  })
