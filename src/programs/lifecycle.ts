import { Effect, Option } from "effect"
import { containerName, serviceNetwork } from "../domain/Names.ts"
import { nearest } from "../domain/nearest.ts"
import { startOrder } from "../domain/Plan.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { specHash } from "../domain/SpecHash.ts"
import type { ObservedState } from "../domain/State.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { Registry, type ServiceRow } from "../services/Registry.ts"
import { createContainer } from "./deploySteps.ts"
import { gather, strangers } from "./facts.ts"
import { ComponentNotFound, NameTaken, ServiceNotFound } from "./ProgramError.ts"
import { awaitReady } from "./readiness.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { recover } from "./undo.ts"

export interface Target {
  readonly service: string
  /** Absent: the whole service. */
  readonly component: string | undefined
}

/** What became of one component; `changed` is false when it was so already. */
export interface Outcome {
  readonly component: string
  readonly changed: boolean
  readonly observed: ObservedState
}

export const findService = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const row = yield* registry.service(service)
    if (Option.isSome(row)) return row.value
    const known = (yield* registry.services).map((other) => other.service)
    const near = nearest(service, known)
    return yield* new ServiceNotFound({ service, ...(near === undefined ? {} : { nearest: near }) })
  })

const targeted = (row: ServiceRow, target: Target) =>
  Effect.gen(function* () {
    const defined = row.spec.components.map((component) => component.name as string)
    const rows = (yield* (yield* Registry).components(row.service)).map((each) => each.component)
    const gone = rows.filter((component) => !defined.includes(component))
    const known = [...defined, ...gone]
    if (target.component !== undefined && !known.includes(target.component)) {
      return yield* new ComponentNotFound({ service: target.service, component: target.component, known })
    }
    const meant = (component: string) => target.component === undefined || component === target.component
    return { components: row.spec.components.filter((c) => meant(c.name)), orphans: gone.filter(meant) }
  })

/** The components in the order in which they start; reversed, they stop. */
const ordered = (spec: ServiceSpec, components: ReadonlyArray<ComponentSpec>) =>
  startOrder(spec.components).flatMap((stage) => components.filter((component) => stage.includes(component.name)))

const act = <A, E, R>(
  target: Target,
  what: string,
  body: (
    row: ServiceRow,
    components: ReadonlyArray<ComponentSpec>,
    orphans: ReadonlyArray<string>
  ) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const locks = yield* ServiceLocks
    yield* findService(target.service)
    return yield* locks.withLock(
      target.service,
      what
    )(
      Effect.gen(function* () {
        yield* recover(target.service)
        const row = yield* findService(target.service)
        const { components, orphans } = yield* targeted(row, target)
        return yield* body(row, components, orphans)
      })
    )
  }).pipe(Effect.annotateLogs({ service: target.service }))

const stopOne = (service: string, component: Pick<ComponentSpec, "name" | "stopTimeout">) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const current = (yield* gather(service)).current.get(component.name)
    if (current?.state === "running") yield* runtime.stop(current.id, component.stopTimeout)
    const observed: ObservedState = current === undefined ? "removed" : "stopped"
    yield* registry.setObserved(service, component.name, observed)
    return { component: component.name, changed: current?.state === "running", observed } satisfies Outcome
  })

/** The container of the stored spec, running and ready; made again when it is missing or of an older spec. */
const startOne = (row: ServiceRow, component: ComponentSpec) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const facts = yield* gather(row.service)
    const current = facts.current.get(component.name)
    const known = facts.rows.get(component.name)
    const fresh = current !== undefined && known?.specHash === specHash(component)
    if (fresh && current.state === "running") {
      yield* registry.setObserved(row.service, component.name, "running")
      return { component: component.name, changed: false, observed: "running" } satisfies Outcome
    }
    let container = current?.id
    if (!fresh || container === undefined) {
      const [stranger] = strangers({ ...row.spec, components: [component] }, facts)
      if (stranger) {
        return yield* new NameTaken({ service: row.service, component: component.name, container: stranger.name })
      }
      if (current) yield* runtime.remove(current.id)
      // The deployment that intended this component: should this act be cut off, the next one knows the container by it.
      const deployment = (yield* registry.deployments(row.service, 100)).find((each) => each.state === "succeeded")
      const generation = known?.generation ?? 1
      container = yield* createContainer(row.spec, component, generation, deployment?.id ?? "")
      const image = Option.getOrUndefined(yield* runtime.image(component.image))
      yield* registry.putComponent({
        service: row.service,
        component: component.name,
        desired: "running",
        specHash: specHash(component),
        generation,
        containerId: container,
        imageId: image?.id,
        image: component.image,
        observed: "stopped"
      })
    }
    yield* runtime.start(containerName(row.service, component.name))
    yield* awaitReady(component, container)
    yield* registry.setObserved(row.service, component.name, "running")
    return { component: component.name, changed: true, observed: "running" } satisfies Outcome
  })

/** How long an orphan, whose definition is gone, may take to stop. */
const orphanStopTimeout = 10_000

/** Desired is written first: whatever happens next, nothing starts it again. What is no longer defined is stopped too. */
export const stop = (target: Target) =>
  act(target, "a stop", (row, components, orphans) =>
    Effect.gen(function* () {
      yield* (yield* Registry).setDesired(target.service, target.component, "stopped")
      const inOrder = [
        ...ordered(row.spec, components).reverse(),
        ...orphans.map((name) => ({ name, stopTimeout: orphanStopTimeout }))
      ]
      return yield* Effect.forEach(inOrder, (component) => stopOne(row.service, component))
    })
  )

export const start = (target: Target) =>
  act(target, "a start", (row, components) =>
    Effect.gen(function* () {
      yield* (yield* Registry).setDesired(target.service, target.component, "running")
      return yield* Effect.forEach(ordered(row.spec, components), (component) => startOne(row, component))
    })
  )

/** Stop and start of what should run; the desired state stays. */
export const restart = (target: Target) =>
  act(target, "a restart", (row, components) =>
    Effect.gen(function* () {
      const rows = yield* (yield* Registry).components(row.service)
      const wanted = new Set(rows.filter((r) => r.desired === "running").map((r) => r.component))
      const [running, resting] = [
        ordered(row.spec, components).filter((c) => wanted.has(c.name)),
        components.filter((c) => !wanted.has(c.name))
      ]
      yield* Effect.forEach([...running].reverse(), (component) => stopOne(row.service, component))
      const started = yield* Effect.forEach(running, (component) => startOne(row, component))
      return [...started, ...resting.map((c): Outcome => ({ component: c.name, changed: false, observed: "stopped" }))]
    })
  )

/** Containers, the service's own bridge and its rows gone, in an order that a crash can take up again; files stay. */
export const undeploy = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const locks = yield* ServiceLocks
    const stored = yield* registry.service(service)
    if (Option.isNone(stored) && (yield* registry.deployments(service, 1)).length > 0) return []
    yield* findService(service)
    return yield* locks.withLock(service, "an undeploy")(undeployLocked(service))
  }).pipe(Effect.annotateLogs({ service }))

const undeployLocked = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const runtime = yield* ContainerRuntime
    yield* recover(service)
    const row = yield* findService(service)
    yield* registry.setDesired(service, undefined, "stopped")
    yield* registry.putService({ ...row, desired: "stopped", undeploying: true })
    const { current } = yield* gather(service)
    const removed: Array<string> = []
    for (const component of ordered(row.spec, row.spec.components).reverse()) {
      const container = current.get(component.name)
      if (!container) continue
      if (container.state === "running") {
        yield* Effect.catchTag(
          runtime.stop(container.id, component.stopTimeout),
          "ContainerNotFound",
          () => Effect.void
        )
      }
      yield* runtime.remove(container.id)
      removed.push(container.containerName)
    }
    // Orphans: in the registry, no longer in the definition.
    for (const container of current.values()) {
      if (removed.includes(container.containerName)) continue
      yield* runtime.remove(container.id)
      removed.push(container.containerName)
    }
    // Somebody else's container on the bridge is no reason to keep the service.
    yield* Effect.catchTag(runtime.removeNetwork(serviceNetwork(service)), "RuntimeRefused", (error) =>
      Effect.logWarning("the service's bridge stays").pipe(Effect.annotateLogs({ service, why: error.message }))
    )
    yield* registry.removeService(service)
    return removed
  })
