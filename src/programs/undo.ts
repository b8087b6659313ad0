import { Effect, Schedule } from "effect"
import { containerName, Labels } from "../domain/Names.ts"
import { startOrder } from "../domain/Plan.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type DeploymentRow, type DeploymentStepRow, Registry } from "../services/Registry.ts"
import { ContainerNotFound } from "../services/RuntimeError.ts"
import { madeBy } from "./facts.ts"

/** Once begun, going back has to end: it is tried again for as long as the runtime or the registry is away. */
const untilItAnswers = Schedule.exponential("250 millis").pipe(Schedule.union(Schedule.spaced("10 seconds")))

/** Succeeds as well when what is to be stopped, started or renamed has been removed by hand. */
const ifThere = <E, R>(act: Effect.Effect<void, E, R>) =>
  Effect.catchIf(
    act,
    (error): error is Extract<E, ContainerNotFound> => error instanceof ContainerNotFound,
    () => Effect.void
  )

const bringBack = (deployment: DeploymentRow, step: DeploymentStepRow, stopTimeoutMs: number) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const previous = step.previousContainerId
    if (previous === undefined) return
    const name = containerName(deployment.service, step.component)
    if (step.action === "replace") {
      const there = (yield* runtime.list).find((container) => container.id === previous)
      if (there === undefined) return
      if (there.containerName !== name) yield* ifThere(runtime.rename(previous, name))
    }
    if (!step.previousRan) return yield* ifThere(runtime.stop(previous, stopTimeoutMs))
    // A previous container that cannot start again must not keep its siblings down.
    yield* ifThere(runtime.start(previous)).pipe(
      Effect.catchTag("PortInUse", "RuntimeRefused", (error) =>
        Effect.logError("the previous container does not start again").pipe(
          Effect.annotateLogs({ service: deployment.service, component: step.component, why: error.message })
        )
      )
    )
  })

/**
 * Brings a deployment that did not succeed back, from its rows and the containers' labels alone, so that a crash at any
 * moment and a failure under way are undone by the same code: what it made is removed, what it set aside gets its name
 * back and runs again if it ran before.
 */
export const undo = (deployment: DeploymentRow, error: string) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    yield* registry.setDeploymentState(deployment.id, "rolling_back", error)
    const steps = new Map((yield* registry.steps(deployment.id)).map((step) => [step.component, step]))
    const made = (yield* runtime.list).filter((container) => madeBy(container, registry.id, deployment.id))
    yield* Effect.forEach(made, (container) => runtime.remove(container.id), { concurrency: 4 })
    for (const stage of startOrder(deployment.spec.components)) {
      for (const component of stage) {
        const step = steps.get(component)
        const spec = deployment.spec.components.find((c) => c.name === component)
        if (step) yield* bringBack(deployment, step, spec?.stopTimeout ?? 10_000)
      }
    }
    yield* registry.setDeploymentState(deployment.id, "rolled_back", error)
  }).pipe(
    Effect.tapError((failure) =>
      Effect.logWarning("bringing a deployment back will be tried again").pipe(
        Effect.annotateLogs({ service: deployment.service, deployment: deployment.id, why: failure.message })
      )
    ),
    Effect.retry({
      schedule: untilItAnswers,
      while: (failure) => failure._tag === "RuntimeUnavailable" || failure._tag === "RegistryUnavailable"
    })
  )

/**
 * Removes what acts that are over left behind: containers that carry this registry's label and a deployment of this
 * service's history, and that no row names any more. To be run under the service's lock, with no deployment under way.
 */
export const sweep = (service: string) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const named = new Set((yield* registry.components(service)).map((row) => row.containerId))
    const unnamed = (yield* runtime.list).filter(
      ({ id, labels }) =>
        !named.has(id) && labels[Labels.registry] === registry.id && labels[Labels.service] === service
    )
    if (unnamed.length === 0) return
    const intended = new Set((yield* registry.deployments(service, 1000)).map((deployment) => deployment.id))
    const leftOver = unnamed.filter(({ labels }) => intended.has(labels[Labels.deployment] ?? ""))
    yield* Effect.forEach(leftOver, (container) => runtime.remove(container.id), { concurrency: 4 })
  })

/** Ends what a crash left of a service: a deployment between two states, containers that nothing names. */
export const recover = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    for (const deployment of yield* registry.unfinishedDeployments) {
      if (deployment.service !== service) continue
      yield* Effect.logWarning("bringing back a deployment that did not finish").pipe(
        Effect.annotateLogs({ service, deployment: deployment.id, state: deployment.state })
      )
      yield* undo(deployment, deployment.error ?? "the agent ended during the deployment")
    }
    yield* sweep(service)
  })
