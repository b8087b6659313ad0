import { Cause, Clock, Effect, Exit, Option, Ref } from "effect"
import { type ComponentPlan, plan, startOrder } from "../domain/Plan.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { specHash } from "../domain/SpecHash.ts"
import * as Ulid from "../domain/Ulid.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, Registry } from "../services/Registry.ts"
import type { DeployResult, Emit } from "./DeployEvent.ts"
import { failureOf } from "./deployFailure.ts"
import { bringUp, type Job, replaceable, step, stopOld } from "./deploySteps.ts"
import { type Facts, gather, strangers } from "./facts.ts"
import { DeployUnfinished, NameTaken } from "./ProgramError.ts"
import { makeFolders, pullImages } from "./preflight.ts"
import { liveOrUnknown } from "./report.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { recover, sweep, undo } from "./undo.ts"
import { validate, warnings } from "./validate.ts"

export interface DeployRequest {
  readonly spec: ServiceSpec
  /** Empty: all of them. */
  readonly components: ReadonlyArray<string>
  readonly force: boolean
  /** Asks the image registry again for images that are here. */
  readonly pull: boolean
  /** Answers once everything is started; the deployment goes on and still goes back when something is not ready. */
  readonly noWait: boolean
  readonly actor: string
}

/** What a deployment would do, as far as that is known before images are pulled. */
export const planDeploy = (request: Pick<DeployRequest, "spec" | "components" | "force">) =>
  Effect.gen(function* () {
    yield* validate(request.spec, request.components)
    const facts = yield* gather(request.spec.name)
    return { components: yield* planFrom(request, facts), warnings: warnings(request.spec) }
  })

const planFrom = (request: Pick<DeployRequest, "spec" | "components" | "force">, facts: Facts) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const stored = yield* registry.service(request.spec.name)
    const images = new Map<string, string | undefined>()
    for (const component of request.spec.components) {
      const image = yield* runtime.image(component.image)
      images.set(component.image, Option.getOrUndefined(image)?.id)
    }
    return plan({
      spec: request.spec,
      stored: Option.getOrUndefined(stored)?.spec,
      rows: [...facts.rows.values()],
      observed: facts.current,
      images,
      force: request.force,
      only: request.components
    })
  })

/** The rows as they are once the deployment has succeeded. */
const rowsAfter = (
  spec: ServiceSpec,
  jobs: ReadonlyArray<Job>,
  facts: Facts
): ReadonlyArray<Omit<ComponentRow, "observedAt">> =>
  jobs.map(({ component, plan: { action }, generation, containerId, imageId }) => {
    const before = facts.rows.get(component.name)
    const made = action === "create" || action === "replace"
    return {
      service: spec.name,
      component: component.name,
      desired: spec.active ? "running" : "stopped",
      specHash: made || !before ? specHash(component) : before.specHash,
      generation,
      containerId,
      imageId,
      image: made || !before ? component.image : before.image,
      observed: spec.active ? "running" : containerId === undefined ? "removed" : "stopped"
    }
  })

const jobsOf = (request: DeployRequest, plans: ReadonlyArray<ComponentPlan>, facts: Facts) =>
  Effect.forEach(
    request.spec.components.filter((c) => request.components.length === 0 || request.components.includes(c.name)),
    (component) =>
      Effect.gen(function* () {
        const image = yield* (yield* ContainerRuntime).image(component.image)
        const found = plans.find((p) => p.component === component.name)
        const current = facts.current.get(component.name)
        const row = facts.rows.get(component.name)
        const asPlanned = found ?? { component: component.name, action: "create" as const, changes: [], why: "" }
        const made = asPlanned.action === "create" || asPlanned.action === "replace"
        return {
          component,
          plan: asPlanned,
          previous: current,
          generation: (row?.generation ?? 0) + (made ? 1 : 0),
          containerId: made ? undefined : current?.id,
          imageId: made ? Option.getOrUndefined(image)?.id : row?.imageId,
          durationMs: 0
        } satisfies Job
      })
  )

/** Sets every replaced container aside, stops them in reverse order, then starts stage by stage until all are ready. */
const carryOut = (request: DeployRequest, deployment: string, jobs: ReadonlyArray<Job>, emit: Emit) =>
  Effect.gen(function* () {
    const { spec } = request
    const stages = startOrder(spec.components).map((stage) => jobs.filter((job) => stage.includes(job.component.name)))
    const waiting = yield* Ref.make(jobs.filter((job) => job.plan.action !== "unchanged").length)
    const started = Effect.flatMap(
      Ref.updateAndGet(waiting, (n) => n - 1),
      (left) =>
        request.noWait && left === 0
          ? emit({ _tag: "Result", result: resultOf(deployment, "starting", jobs, 0) })
          : Effect.void
    )
    yield* Effect.forEach(jobs.filter(replaceable), (job) => stopOld.setAside(spec, job), { concurrency: 4 })
    for (const stage of [...stages].reverse()) {
      yield* Effect.forEach(stage, (job) => stopOld.stop(job, emit), { concurrency: 4 })
    }
    if (!spec.active) return jobs
    const done: Array<Job> = []
    for (const stage of stages) {
      done.push(
        ...(yield* Effect.forEach(stage, (job) => bringUp(spec, job, deployment, emit, started), { concurrency: 4 }))
      )
    }
    return jobs.map((job) => done.find((other) => other.component === job.component) ?? job)
  })

const resultOf = (
  deployment: string,
  state: DeployResult["state"],
  jobs: ReadonlyArray<Job>,
  durationMs: number,
  back?: Pick<DeployResult, "failure" | "after">
): DeployResult => ({
  deployment,
  state,
  durationMs,
  failure: back?.failure,
  after: back?.after ?? [],
  components: jobs.map(({ component, plan, containerId, durationMs }) => ({
    component: component.name,
    action: plan.action,
    fromImage: plan.fromImage,
    toImage: plan.toImage,
    containerId,
    durationMs
  }))
})

const locked = (request: DeployRequest, emit: Emit) =>
  Effect.gen(function* () {
    const { spec } = request
    const registry = yield* Registry
    const startedAt = yield* Clock.currentTimeMillis
    const elapsed = Effect.map(Clock.currentTimeMillis, (now) => now - startedAt)
    yield* recover(spec.name)
    for (const warning of warnings(spec)) yield* emit({ _tag: "Warning", ...warning })

    const before = yield* gather(spec.name)
    const [stranger] = strangers(spec, before)
    if (stranger) {
      return yield* new NameTaken({ service: spec.name, component: stranger.component, container: stranger.name })
    }
    const wanted = spec.components.filter((c) => request.components.length === 0 || request.components.includes(c.name))
    yield* pullImages(wanted, request.pull, emit)
    yield* makeFolders(spec, wanted)
    const plans = yield* planFrom(request, before)
    const jobs = yield* jobsOf(request, plans, before)
    for (const orphan of plans.filter((each) => each.action === "orphan")) {
      yield* emit({ _tag: "Warning", component: orphan.component, message: orphan.why })
    }
    const service = {
      service: spec.name,
      spec: yield* merged(request),
      desired: spec.active ? ("running" as const) : ("stopped" as const),
      undeploying: false
    }
    if (jobs.every((job) => job.plan.action === "unchanged")) {
      yield* registry.putService(service)
      for (const row of rowsAfter(spec, jobs, before)) yield* registry.putComponent(row)
      return resultOf("", "succeeded", jobs, yield* elapsed)
    }

    const deployment = yield* Ulid.make
    yield* registry.beginDeployment(
      { id: deployment, service: spec.name, spec: service.spec, actor: request.actor },
      jobs.map((job) => ({
        component: job.component.name,
        action: job.plan.action,
        previousContainerId: job.previous?.id,
        previousRan: job.previous?.state === "running"
      }))
    )
    yield* emit({ _tag: "Started", deployment, plan: plans })
    const exit = yield* Effect.exit(carryOut(request, deployment, jobs, emit))
    if (Exit.isSuccess(exit)) {
      yield* registry.setDeploymentState(deployment, "committing")
      yield* registry.commitDeployment(deployment, service, rowsAfter(spec, exit.value, before))
      // What is set aside is explained by the rows: a removal that fails now is made good by the next deploy.
      yield* Effect.catchAll(sweep(spec.name), (error) =>
        Effect.logWarning("replaced containers are not removed yet").pipe(
          Effect.annotateLogs({ service: spec.name, why: error.message })
        )
      )
      return resultOf(deployment, "succeeded", exit.value, yield* elapsed)
    }
    const failure = Cause.failureOption(exit.cause)
    // Interrupted, or a defect: nothing is undone here, the rows explain it to the next start.
    if (Option.isNone(failure)) return yield* Effect.failCause(exit.cause as Cause.Cause<never>)
    const told = yield* failureOf(failure.value)
    yield* goBack(spec.name, deployment, told.message).pipe(step(emit, "", "roll back"))
    const after = yield* liveOrUnknown(Option.isSome(yield* registry.service(spec.name)) ? spec.name : undefined)
    return resultOf(deployment, "rolled_back", jobs, yield* elapsed, {
      failure: told,
      after: after.filter((component) => component.service === spec.name)
    })
  })

const goBack = (service: string, deployment: string, why: string) =>
  Effect.gen(function* () {
    const [row] = (yield* (yield* Registry).unfinishedDeployments).filter((row) => row.id === deployment)
    if (row) yield* undo(row, why)
  }).pipe(Effect.mapError((error) => new DeployUnfinished({ service, deployment, why: error.message })))

/** A deploy of some components stores their part of the spec and keeps the others' as they were. */
const merged = (request: DeployRequest) =>
  Effect.gen(function* () {
    const { spec, components } = request
    if (components.length === 0) return spec
    const stored = Option.getOrUndefined(yield* (yield* Registry).service(spec.name))?.spec
    const [first, ...rest] = spec.components.flatMap((component): ReadonlyArray<ComponentSpec> => {
      if (components.includes(component.name)) return [component]
      const kept = stored?.components.find((c) => c.name === component.name)
      return kept ? [kept] : []
    })
    return first ? { ...spec, components: [first, ...rest] as const } : spec
  })

/**
 * Brings a service to its definition, whole or not at all: when one new container does not become ready, every component
 * goes back to what it was, and the result says `rolled_back`. Fails when nothing was touched.
 */
export const deploy = (request: DeployRequest, emit: Emit) =>
  Effect.gen(function* () {
    const locks = yield* ServiceLocks
    yield* validate(request.spec, request.components)
    const result = yield* locks.withLock(request.spec.name, "a deploy")(locked(request, emit))
    yield* emit({ _tag: "Result", result })
    return result
  }).pipe(Effect.annotateLogs({ service: request.spec.name }))
