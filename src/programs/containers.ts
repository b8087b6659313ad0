import { Effect, Either } from "effect"
import { containerName, Labels, serviceNetwork } from "../domain/Names.ts"
import { routesToAllocate } from "../domain/Ports.ts"
import type { SecretVersions } from "../domain/Secret.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { specHash } from "../domain/SpecHash.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { HostPorts } from "../services/HostPorts.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Registry, type ServiceRow } from "../services/Registry.ts"
import { ImageNotFound } from "../services/RuntimeError.ts"
import { SecretFiles } from "../services/SecretFiles.ts"
import { allocatedTo, type Facts } from "./facts.ts"
import { imageAgain } from "./images.ts"
import { newContainer } from "./newContainer.ts"
import { SecretMissing } from "./ProgramError.ts"
import { allocatePorts } from "./ports.ts"
import { restoreSecrets, writeSecrets } from "./secretFiles.ts"
import { wantedVersions } from "./secrets.ts"

/** What is decided of a container before it is made. */
export interface Wanted {
  readonly spec: ServiceSpec
  readonly component: ComponentSpec
  readonly generation: number
  readonly deployment: string
  readonly imageId: string
  readonly secrets: SecretVersions
  /** Ports to take again when they are free. */
  readonly preferred?: ReadonlyMap<string, number>
}

/** How long an orphan, whose definition is gone, may take to stop; in milliseconds. */
export const orphanStopTimeout = 10_000

/** Only the bridge that a service has of its own carries its labels, and is removed with it. */
export const ownNetworkLabels = (service: string, registry: string): Record<string, string> => ({
  [Labels.service]: service,
  [Labels.registry]: registry
})

/** The bridge that a component is on; nothing for the host's network and for none. */
export const ensureNetwork = (service: string, { network }: Pick<ComponentSpec, "network">) =>
  Effect.gen(function* () {
    if (network === "host" || network === "none") return
    const labels = network === undefined ? ownNetworkLabels(service, (yield* Registry).id) : {}
    yield* (yield* ContainerRuntime).ensureNetwork(network ?? serviceNetwork(service), labels)
  })

/** Makes a container with its ports and its network; `record` writes its id down. */
export const makeContainer = <E, R>(wanted: Wanted, record: (id: string) => Effect.Effect<void, E, R>) =>
  Effect.gen(function* () {
    const { component, deployment, spec } = wanted
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const { node } = yield* NodeInfo
    yield* registry.setUnswept(deployment)
    const allocated = yield* allocatePorts(spec.name, component, deployment, wanted.preferred)
    const of = { service: spec.name, component: component.name, generation: wanted.generation }
    const files = yield* SecretFiles
    const secretFile = (secret: string) => files.file(of, secret)
    const fresh = newContainer(spec, component, { ...wanted, node, registry: registry.id, allocated, secretFile })
    yield* ensureNetwork(spec.name, component)
    yield* writeSecrets(of, wanted.secrets)
    const id = yield* runtime.create(fresh)
    if (allocated.size > 0) yield* registry.bindPorts(deployment, component.name, id)
    yield* record(id)
    return id
    // Cut off while podman makes it, the container would come to be behind the back of whoever goes back.
  }).pipe(Effect.uninterruptible)

/** Removes a container, and then gives its ports back. */
export const discard = (container: string) =>
  Effect.gen(function* () {
    yield* (yield* ContainerRuntime).remove(container)
    yield* (yield* Registry).releasePorts(container)
  })

/** Somebody else may take a port that was just found free: then the container is made again with another one. */
const attempts = 5

const lostItsPort = (service: string, container: string) =>
  Effect.gen(function* () {
    const host = yield* HostPorts
    const rows = (yield* (yield* Registry).ports(service)).filter((row) => row.containerId === container)
    const free = yield* Effect.forEach(rows, ({ port }) => host.isFree({ ip: "127.0.0.1", port, protocol: "tcp" }))
    return free.includes(false)
  })

/**
 * Starts the container `id`. Where a port is taken that the agent gave it, it is made again with another one; answers the
 * id of the container that runs.
 */
export const startOrRemake = Effect.fn(function* <E, R>(
  wanted: Wanted,
  id: string,
  record: (id: string) => Effect.Effect<void, E, R>
) {
  const runtime = yield* ContainerRuntime
  const service = wanted.spec.name
  let container = id
  for (let left = attempts; ; left--) {
    // By name, which is what an error then says.
    const started = yield* Effect.either(runtime.start(containerName(service, wanted.component.name)))
    if (Either.isRight(started)) return container
    const error = started.left
    if (error._tag !== "PortInUse" || left === 0 || !(yield* lostItsPort(service, container))) return yield* error
    yield* Effect.logWarning("a port is taken; the container is made again with another").pipe(
      Effect.annotateLogs({ service, component: wanted.component.name, why: error.why })
    )
    yield* discard(container)
    container = yield* makeContainer(wanted, record)
  }
})

/** Revisions that are looked through for the digest of an image. */
const revisionsBack = 10

/** By which the image can be pulled again; the last deployment may have left this component alone. */
const digestOf = (service: string, component: string, imageId: string | undefined) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    if (imageId === undefined) return undefined
    for (const { id } of yield* registry.revisions(service, revisionsBack)) {
      const step = (yield* registry.steps(id)).find((each) => each.component === component)
      if (step?.imageId === imageId && step.imageDigest !== undefined) return step.imageDigest
    }
    return undefined
  })

/** What a component's row says of its container, to make it again from the stored spec. */
const wantedFrom = (row: ServiceRow, component: ComponentSpec, facts: Facts, mayPull: boolean) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const known = facts.rows.get(component.name)
    // The deployment that intended this component: should this act be cut off, the next one knows the container by it.
    const [revision] = yield* registry.revisions(row.service, 1)
    const digest = mayPull ? yield* digestOf(row.service, component.name, known?.imageId) : undefined
    const image = yield* imageAgain(component, { imageId: known?.imageId, digest }, mayPull)
    if (image === undefined) return yield* new ImageNotFound({ image: component.image })
    const own = known === undefined ? [] : [[component.name as string, known.secrets] as const]
    const versions = yield* wantedVersions(row.service, [component], new Map(own))
    const secrets = versions.get(component.name) ?? {}
    const unset = component.secrets.find((secret) => secrets[secret] === undefined)
    if (unset !== undefined) {
      return yield* new SecretMissing({ service: row.service, component: component.name, secret: unset })
    }
    return {
      spec: row.spec,
      component,
      generation: known?.generation ?? 1,
      deployment: revision?.id ?? "",
      imageId: image.id,
      secrets,
      preferred: allocatedTo(facts.ports, known?.containerId)
    } satisfies Wanted
  })

/**
 * Runs the stored container of a component, made again when it is missing or its port is taken. Answers its id. With
 * `mayPull` an image that is gone is fetched.
 */
export const revive = (row: ServiceRow, component: ComponentSpec, facts: Facts, mayPull = false) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const known = facts.rows.get(component.name)
    const current = facts.current.get(component.name)
    const recorded = (wanted: Wanted) => (id: string) =>
      registry.putComponent({
        service: row.service,
        component: component.name,
        desired: known?.desired ?? "running",
        specHash: specHash(component),
        generation: wanted.generation,
        containerId: id,
        imageId: wanted.imageId,
        image: component.image,
        observed: "stopped",
        secrets: wanted.secrets
      })
    if (current && known?.specHash === specHash(component)) {
      // Looked up only where it is needed: an ordinary start must work with the image gone.
      const runtime = yield* ContainerRuntime
      yield* restoreSecrets(known)
      const started = yield* Effect.either(runtime.start(current.containerName))
      if (Either.isRight(started)) return current.id
      if (started.left._tag !== "PortInUse" || routesToAllocate(component).length === 0) return yield* started.left
      const wanted = yield* wantedFrom(row, component, facts, mayPull)
      return yield* startOrRemake(wanted, current.id, recorded(wanted))
    }
    const wanted = yield* wantedFrom(row, component, facts, mayPull)
    if (current) yield* discard(current.id)
    // The ports of the container that is gone are free for the one that takes its place.
    else if (known?.containerId !== undefined) yield* registry.releasePorts(known.containerId)
    const id = yield* makeContainer(wanted, recorded(wanted))
    return yield* startOrRemake(wanted, id, recorded(wanted))
  }).pipe(Effect.annotateLogs({ container: containerName(row.service, component.name) }))
