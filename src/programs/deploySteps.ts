import { Clock, Effect } from "effect"
import { containerName, Labels, previousName } from "../domain/Names.ts"
import type { ComponentPlan } from "../domain/Plan.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Registry } from "../services/Registry.ts"
import type { Emit } from "./DeployEvent.ts"
import { ComponentFailed } from "./deployFailure.ts"
import { newContainer } from "./newContainer.ts"
import { awaitReady } from "./readiness.ts"

/** One component's part of a deployment. */
export interface Job {
  readonly component: ComponentSpec
  readonly plan: ComponentPlan
  /** The container that it has now. */
  readonly previous: Container | undefined
  readonly generation: number
  /** The container that it has afterwards, once that exists. */
  readonly containerId: string | undefined
  readonly imageId: string | undefined
  readonly durationMs: number
}

export const replaceable = (job: Job): job is Job & { previous: Container } =>
  job.plan.action === "replace" && job.previous !== undefined

/** Tells that a step runs, and how it ended. */
export const step =
  (emit: Emit, component: string, name: string) =>
  <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function* () {
      const startedAt = yield* Clock.currentTimeMillis
      const tell = (state: "running" | "done" | "failed", message: string) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          emit({ _tag: "Step", component, step: name, state, message, durationMs: now - startedAt })
        )
      yield* tell("running", "")
      return yield* effect.pipe(
        Effect.tap(() => tell("done", "")),
        Effect.tapError((error) => tell("failed", error.message))
      )
    })

export const stopOld = {
  /** The old container keeps running under `<name>.prev`; its id is in the deployment's rows already. */
  setAside: (spec: ServiceSpec, job: Job & { previous: Container }) =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* runtime.rename(job.previous.id, previousName(containerName(spec.name, job.component.name)))
    }),
  stop: (job: Job, emit: Emit) =>
    Effect.gen(function* () {
      if (!(job.plan.action === "replace" || job.plan.action === "stop") || job.previous?.state !== "running") return
      const runtime = yield* ContainerRuntime
      yield* runtime.stop(job.previous.id, job.component.stopTimeout).pipe(step(emit, job.component.name, "stop"))
    })
}

/** Makes the component's container and writes its id down. */
export const createContainer = (spec: ServiceSpec, component: ComponentSpec, generation: number, deployment: string) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const node = yield* NodeInfo
    const labels = { node: node.node, registry: registry.id, deployment, generation }
    const fresh = newContainer(spec, component, labels)
    if (fresh.network.to !== "host" && fresh.network.to !== "none") {
      yield* runtime.ensureNetwork(fresh.network.to, networkLabels(spec, component, registry.id))
    }
    return yield* runtime.create(fresh)
  })

/** Only the bridge that a service has of its own carries its labels, and is removed with it. */
const networkLabels = (spec: ServiceSpec, component: ComponentSpec, registry: string): Record<string, string> =>
  component.network === undefined ? { [Labels.service]: spec.name, [Labels.registry]: registry } : {}

/** Creates where that is planned, starts, and waits until it is ready. Answers the job with what it has now. */
export const bringUp = (spec: ServiceSpec, job: Job, deployment: string, emit: Emit, started: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const { component, plan } = job
    if (plan.action === "unchanged" || plan.action === "orphan" || plan.action === "stop") return job
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const startedAt = yield* Clock.currentTimeMillis
    const told = (name: string) => step(emit, component.name, name)
    const container =
      plan.action === "start" && job.previous
        ? job.previous.id
        : yield* createContainer(spec, component, job.generation, deployment).pipe(
            Effect.tap((id) => registry.setNewContainer(deployment, component.name, id)),
            // Cut off while podman makes it, the container would come to be behind the back of whoever goes back.
            Effect.uninterruptible,
            told("create")
          )
    // By name, which is what an error then says.
    yield* runtime.start(containerName(spec.name, component.name)).pipe(told("start"))
    yield* started
    yield* awaitReady(component, container).pipe(told("ready"))
    return { ...job, containerId: container, durationMs: (yield* Clock.currentTimeMillis) - startedAt } satisfies Job
  }).pipe(
    Effect.mapError((error) => new ComponentFailed(spec.name, job.component.name, error)),
    Effect.annotateLogs({ component: job.component.name })
  )
