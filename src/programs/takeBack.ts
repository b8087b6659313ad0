import { Effect, Option } from "effect"
import { containerName, Labels } from "../domain/Names.ts"
import { parsePort } from "../domain/Scalars.ts"
import type { Container } from "../services/ContainerRuntime.ts"
import { type ComponentRow, Registry } from "../services/Registry.ts"
import { discard } from "./containers.ts"
import type { Facts } from "./facts.ts"

/**
 * The container under a component's name that this registry made for a deployment which it knows, and that no row names:
 * a restored registry may be older than the container that took the place of the one in its row.
 */
const ownUnnamed = (facts: Facts, row: ComponentRow) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const name = containerName(row.service, row.component)
    const there = facts.containers.find((container) => container.containerName === name)
    const labels = there?.labels ?? {}
    if (there === undefined || labels[Labels.registry] !== registry.id) return undefined
    if (labels[Labels.service] !== row.service || labels[Labels.component] !== row.component) return undefined
    const intended = yield* registry.deployment(labels[Labels.deployment] ?? "")
    return Option.exists(intended, ({ service }) => service === row.service) ? there : undefined
  })

const isAsRecorded = ({ labels, ports }: Container, row: ComponentRow, held: ReadonlyArray<number>) => {
  const published = new Set(ports.map((text) => parsePort(text)?.host))
  return (
    labels[Labels.generation] === String(row.generation) &&
    labels[Labels.spec] === row.specHash &&
    held.every((port) => published.has(port))
  )
}

/**
 * For a component whose container is gone: one that was made in its place is its own again when it is as the row says,
 * and goes on as it is. Another one of that kind would be in the way, and is removed. Answers whether one was taken back.
 */
export const takeBack = (facts: Facts, row: ComponentRow) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const there = yield* ownUnnamed(facts, row)
    if (there === undefined) return false
    const held = facts.ports.filter(({ containerId }) => containerId === row.containerId)
    const ports = held.map(({ port }) => port)
    if (!isAsRecorded(there, row, ports)) {
      yield* discard(there.id)
      return false
    }
    const deployment = there.labels[Labels.deployment] ?? ""
    if (row.containerId !== undefined) yield* registry.releasePorts(row.containerId)
    for (const port of held) yield* registry.reservePort({ ...port, deployment })
    yield* registry.bindPorts(deployment, row.component, there.id)
    yield* registry.putComponent({ ...row, containerId: there.id, imageId: there.imageId })
    return true
  })
