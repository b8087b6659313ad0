import { Effect, Ref } from "effect"
import { containerName, previousName } from "../domain/Names.ts"
import { startOrder } from "../domain/Plan.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { Registry } from "../services/Registry.ts"
import { makeContainer, startOrRemake } from "./containers.ts"
import type { Emit } from "./DeployEvent.ts"
import { ComponentFailed } from "./deployFailure.ts"
import { allocatedTo } from "./facts.ts"
import { type Job, makes } from "./jobs.ts"
import { step } from "./progress.ts"
import { awaitReady } from "./readiness.ts"
import { changeRoutes, keysOf } from "./routes.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { restoreSecrets } from "./secretFiles.ts"

export interface Starting {
  readonly spec: ServiceSpec
  readonly deployment: string
  readonly jobs: ReadonlyArray<Job>
  readonly emit: Emit
  /** Done once everything is started, before it is ready. */
  readonly whenStarted: Effect.Effect<void>
}

/** Whether the old container is stopped before the new one is started. */
const stopsFirst = (job: Job) =>
  job.plan.action === "stop" || (job.plan.action === "replace" && job.order === "stop-first")

/** Every container that is to be replaced keeps running under `<name>.prev`; its id is in the deployment's rows already. */
const setAside = ({ jobs, spec }: Starting) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    yield* Effect.forEach(
      jobs,
      ({ component, plan, previous }) =>
        plan.action === "replace" && previous !== undefined
          ? runtime.rename(previous.id, previousName(containerName(spec.name, component.name)))
          : Effect.void,
      { concurrency: "unbounded", discard: true }
    )
  })

const stopOld = ({ emit, jobs, spec }: Starting, stages: ReadonlyArray<ReadonlyArray<string>>) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const locks = yield* ServiceLocks
    const stopping = jobs.filter(stopsFirst)
    for (const { previous } of stopping) if (previous) yield* locks.withdraw(spec.name, previous.id)
    const before = stopping.map(({ component }) => component)
    yield* changeRoutes([], yield* keysOf(spec.name, before))
    for (const stage of [...stages].reverse()) {
      yield* Effect.forEach(
        stopping.filter(({ component }) => stage.includes(component.name)),
        ({ component, previous }) =>
          previous?.state === "running"
            ? runtime.stop(previous.id, component.stopTimeout).pipe(step(emit, component.name, "stop"))
            : Effect.void,
        { concurrency: "unbounded", discard: true }
      )
    }
  })

/** Creates where that is planned, starts, and waits until it is ready. */
const bringUpOne = ({ deployment, emit, spec }: Starting, job: Job, started: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const { component, previous } = job
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const told = (name: string) => step(emit, component.name, name)
    const record = (id: string) => registry.setNewContainer(deployment, component.name, id)
    let container = previous?.id ?? ""
    if (makes(job)) {
      const { generation, image } = job
      const wanted = {
        spec,
        component,
        generation,
        deployment,
        imageId: image.id ?? component.image,
        secrets: job.secrets
      }
      const made = yield* makeContainer(wanted, record).pipe(told("create"))
      container = yield* startOrRemake(wanted, made, record).pipe(told("start"))
    } else {
      const { generation, secrets } = job
      const restored = restoreSecrets({ service: spec.name, component: component.name, generation, secrets })
      const name = containerName(spec.name, component.name)
      yield* Effect.zipRight(restored, runtime.start(name)).pipe(told("start"))
    }
    yield* started
    const allocated = allocatedTo(yield* registry.ports(spec.name), container)
    yield* awaitReady(component, { container, allocated }).pipe(told("ready"))
  }).pipe(
    Effect.mapError((error) => new ComponentFailed(spec.name, job.component.name, error)),
    Effect.annotateLogs({ component: job.component.name })
  )

/**
 * The state `starting`: sets every replaced container aside, stops what must be stopped first, then starts stage by stage
 * until all are ready.
 */
export const bringUp = (starting: Starting) =>
  Effect.gen(function* () {
    const { jobs, spec } = starting
    const stages = startOrder(spec.components)
    const working = jobs.filter((job) => makes(job) || job.plan.action === "start")
    const waiting = yield* Ref.make(working.length)
    const started = Effect.flatMap(
      Ref.updateAndGet(waiting, (n) => n - 1),
      (left) => (left === 0 ? starting.whenStarted : Effect.void)
    )
    yield* setAside(starting)
    yield* stopOld(starting, stages)
    if (!spec.active) return
    for (const stage of stages) {
      yield* Effect.forEach(
        working.filter(({ component }) => stage.includes(component.name)),
        (job) => bringUpOne(starting, job, started),
        { concurrency: "unbounded", discard: true }
      )
    }
  })
