import { Clock, Effect, Option } from "effect"
import { startOrder } from "../domain/Plan.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { specHash } from "../domain/SpecHash.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type Backend, Proxy } from "../services/Proxy.ts"
import { type ComponentRow, type DeploymentRow, type DeploymentStepRow, Registry } from "../services/Registry.ts"
import type { Emit } from "./DeployEvent.ts"
import { allocatedTo, type Facts, gather } from "./facts.ts"
import { isAway, step, untilItAnswers } from "./progress.ts"
import { backendsOf, changeRoutes, keysOf, proxyRoutes } from "./routes.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

const pollMs = 200
/** How long an old backend is left to its requests where the driver cannot tell whether it has any. */
const blindDrainMs = 5_000

const containerOf = (step: DeploymentStepRow) =>
  step.newContainerId ?? (step.action === "create" ? undefined : step.previousContainerId)

/** What was not touched may have been stopped by itself. */
const desiredAfter = (
  spec: ServiceSpec,
  step: DeploymentStepRow,
  before: ComponentRow | undefined
): ComponentRow["desired"] => {
  if (!spec.active) return "stopped"
  return step.action === "unchanged" && before ? before.desired : "running"
}

/** The component's row as it is once the deployment has succeeded. */
const rowAfter = (
  { service, spec }: DeploymentRow,
  component: ComponentSpec,
  step: DeploymentStepRow,
  before: ComponentRow | undefined
): Omit<ComponentRow, "observedAt"> => {
  const made = step.action === "create" || step.action === "replace" || before === undefined
  const containerId = containerOf(step)
  const resting = containerId === undefined ? "removed" : "stopped"
  const rests = step.action === "unchanged" && before ? before.observed : "running"
  return {
    service,
    component: component.name,
    desired: desiredAfter(spec, step, before),
    specHash: made ? specHash(component) : before.specHash,
    generation: step.generation,
    containerId,
    imageId: step.imageId,
    image: made ? component.image : before.image,
    observed: spec.active ? rests : resting,
    podmanRestart: made ? undefined : before.podmanRestart,
    // What was only recorded, with active = false, is the revision's: the container is as it was.
    secrets: made ? step.secrets : before.secrets
  }
}

/** Until nothing is in flight to the old backends, at most `drain_timeout`. */
const drain = (component: ComponentSpec, backends: ReadonlyArray<Backend>) =>
  Effect.gen(function* () {
    const proxy = yield* Proxy
    if (backends.length === 0 || proxy.driver === "none") return
    const startedAt = yield* Clock.currentTimeMillis
    for (;;) {
      yield* Effect.sleep(Math.min(pollMs, component.drainTimeout))
      const counts = yield* Effect.forEach(backends, (backend) => proxy.inFlight(backend))
      const blind = counts.some(Option.isNone)
      const busy = counts.some((count) => Option.getOrElse(count, () => 1) > 0)
      const elapsed = (yield* Clock.currentTimeMillis) - startedAt
      const limit = blind ? Math.min(blindDrainMs, component.drainTimeout) : component.drainTimeout
      if (!busy || elapsed >= limit) return
    }
  })

const switchRoutes = (deployment: DeploymentRow, steps: ReadonlyArray<DeploymentStepRow>, facts: Facts) =>
  Effect.gen(function* () {
    const { service, spec } = deployment
    const byName = new Map(steps.map((step) => [step.component, step]))
    const serving = spec.components.flatMap((component) => {
      const step = byName.get(component.name)
      if (!step || desiredAfter(spec, step, facts.rows.get(component.name)) !== "running") return []
      return [{ component, allocated: allocatedTo(facts.ports, containerOf(step)) }]
    })
    const before = facts.service?.spec.components ?? []
    const gone = yield* keysOf(service, [...before, ...(spec.active ? [] : spec.components)])
    yield* changeRoutes(yield* proxyRoutes(spec, serving), gone)
  })

/** The old containers of start-first components: each drains, and is stopped. */
const retire = (deployment: DeploymentRow, steps: ReadonlyArray<DeploymentStepRow>, facts: Facts, emit: Emit) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const locks = yield* ServiceLocks
    const retiring = steps.filter((step) => step.action === "replace" && step.updateOrder === "start-first")
    for (const stage of [...startOrder(deployment.spec.components)].reverse()) {
      yield* Effect.forEach(
        retiring.filter((step) => stage.includes(step.component)),
        ({ component, previousContainerId: previous }) =>
          Effect.gen(function* () {
            const now = deployment.spec.components.find(({ name }) => name === component)
            const old = facts.service?.spec.components.find(({ name }) => name === component) ?? now
            if (old === undefined || previous === undefined) return
            yield* locks.withdraw(deployment.service, previous)
            yield* drain(old, backendsOf(old, allocatedTo(facts.ports, previous))).pipe(step(emit, component, "drain"))
            yield* Effect.catchTag(
              runtime.stop(previous, old.stopTimeout),
              "ContainerNotFound",
              () => Effect.void
            ).pipe(step(emit, component, "stop"))
          }),
        { concurrency: "unbounded", discard: true }
      )
    }
  })

/**
 * The state `committing`, from the deployment's rows alone, so that a crash goes on with the same code: routes are
 * switched in one batch, what was replaced drains and is stopped, then the deployment has succeeded. Only a proxy that
 * refuses the batch, before the first stop, leaves the way back open; whatever is away is tried again until it answers.
 */
export const commit = (deployment: DeploymentRow, emit: Emit) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { id, pinnedFrom, service, spec } = deployment
    const steps = yield* registry.steps(id)
    const facts = yield* gather(service)
    const routed = [...spec.components, ...(facts.service?.spec.components ?? [])].some((c) => c.routes.length > 0)
    if (routed) {
      const switched = Option.exists(yield* registry.deployment(id), (row) => row.switched)
      yield* switchRoutes(deployment, steps, facts).pipe(
        step(emit, "", "routes"),
        // Old containers may be stopped already: there is only forward.
        Effect.catchIf(
          (error) => switched && error._tag === "ProxyRefused",
          (error) =>
            Effect.logError("routes are not as they should be").pipe(
              Effect.annotateLogs({ service, why: error.message })
            )
        )
      )
    }
    yield* registry.setSwitched(id)
    yield* retire(deployment, steps, facts, emit)
    const byName = new Map(steps.map((step) => [step.component, step]))
    yield* registry.commitDeployment(
      id,
      { service, spec, desired: spec.active ? "running" : "stopped", undeploying: false, pinnedFrom },
      spec.components.flatMap((component) => {
        const step = byName.get(component.name)
        return step ? [rowAfter(deployment, component, step, facts.rows.get(component.name))] : []
      })
    )
  }).pipe(
    Effect.tapError((error) =>
      isAway(error) ? held(deployment.id, deployment.service, error.message, emit) : Effect.void
    ),
    Effect.retry({ schedule: untilItAnswers, while: isAway })
  )

/** A deployment that cannot go on for now: said in the log, to whoever waits for it, and in `mcp history`. */
export const held = (deployment: string, service: string, why: string, emit: Emit) =>
  Effect.gen(function* () {
    yield* Effect.logWarning("a deployment is held up and will be tried again").pipe(
      Effect.annotateLogs({ service, deployment, why })
    )
    yield* Effect.ignore((yield* Registry).setLastError(deployment, why))
    yield* emit({ _tag: "Step", component: "", step: "go on", state: "retrying", message: why, durationMs: 0 })
  })
