import { Cause, Clock, Effect, Exit, Option } from "effect"
import type { SecretVersions } from "../domain/Secret.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { canonicalService, serviceHash } from "../domain/SpecHash.ts"
import type { DeploymentKind } from "../domain/State.ts"
import * as Ulid from "../domain/Ulid.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type DeploymentRow, Registry, type ServiceRow } from "../services/Registry.ts"
import { bringUp } from "./bringUp.ts"
import { commit } from "./commit.ts"
import type { DeployEvent, DeployResult, Emit, StepTime } from "./DeployEvent.ts"
import { failureOf } from "./deployFailure.ts"
import { lowDisks } from "./diskSpace.ts"
import { explain } from "./explain.ts"
import { gather } from "./facts.ts"
import { type Pinned, resolveImages } from "./images.ts"
import { type Job, jobsOf, planFrom, stepOf } from "./jobs.ts"
import { makeFolders, preflight, refuse } from "./preflight.ts"
import { step } from "./progress.ts"
import { recover, tidy } from "./recover.ts"
import { liveOrUnknown } from "./report.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { secretsInTheWay } from "./secretFiles.ts"
import { wantedVersions } from "./secrets.ts"
import { undo } from "./undo.ts"
import { validate, validateMerged, warnings } from "./validate.ts"

export interface DeployRequest {
  readonly spec: ServiceSpec
  /** Empty: all of them. */
  readonly components: ReadonlyArray<string>
  readonly force: boolean
  /** Asks the image registry again for images that are here. */
  readonly pull: boolean
  /** Answers once everything is started; the deployment goes on and still goes back when something is not ready. */
  readonly noWait: boolean
  /** Waits while another act is under way. */
  readonly wait: boolean
  /** Skips a definition that was rolled back from. */
  readonly respectPin: boolean
  readonly actor: string
}

/** What a deployment is beyond what was asked for. */
export interface Origin {
  readonly kind: DeploymentKind
  readonly pinned: Pinned
  /** The versions of secrets that components are to have, whatever is set by now. */
  readonly secrets?: ReadonlyMap<string, SecretVersions>
  readonly rollbackTo?: string
  readonly pinnedFrom?: string
}

const asDefined: Origin = { kind: "deploy", pinned: new Map() }

/** Whether the definition is the one that was rolled back from. `active` is no part of a version: a stop changes no more than that. */
export const isPinned = ({ pinnedFrom }: ServiceRow, spec: ServiceSpec): boolean =>
  pinnedFrom !== undefined && [true, false].some((active) => pinnedFrom === serviceHash({ ...spec, active }))

/** The components that are asked for. */
const chosen = ({ components, spec }: Pick<DeployRequest, "components" | "spec">) =>
  spec.components.filter(({ name }) => components.length === 0 || components.includes(name))

/** What a deployment would do, as far as that is known before images are pulled. */
export const planDeploy = (request: Pick<DeployRequest, "spec" | "components" | "force">) =>
  Effect.gen(function* () {
    yield* validate(request.spec, request.components)
    const runtime = yield* ContainerRuntime
    const facts = yield* gather(request.spec.name)
    yield* validateMerged(merged(request, facts.service?.spec))
    const images = new Map<string, string | undefined>()
    for (const { image, name } of request.spec.components) {
      images.set(name, Option.getOrUndefined(yield* runtime.image(image))?.id)
    }
    const secrets = yield* wantedVersions(request.spec.name, request.spec.components)
    const unset = yield* secretsInTheWay(request.spec.name, chosen(request), secrets, false)
    return {
      components: planFrom(request, facts, images, secrets),
      warnings: [
        ...(yield* warnings(request.spec)),
        ...unset.map(({ component, error }) => ({
          component,
          message: `${error.message}; a deploy is refused: ${explain(error).nextStep}`
        }))
      ]
    }
  })

/** Collects how long each component's steps took, on their way to whoever listens. */
const timed = (emit: Emit) => {
  const took = new Map<string, Array<StepTime>>()
  return {
    took,
    emit: (event: DeployEvent) =>
      Effect.suspend(() => {
        if (event._tag === "Step" && (event.state === "done" || event.state === "failed")) {
          const { component, durationMs, step } = event
          took.set(component, [...(took.get(component) ?? []), { step, durationMs }])
        }
        return emit(event)
      })
  }
}

const resultOf = (
  deployment: string,
  state: DeployResult["state"],
  jobs: ReadonlyArray<Job>,
  more: Partial<Pick<DeployResult, "failure" | "after" | "durationMs">> & {
    readonly took?: ReadonlyMap<string, ReadonlyArray<StepTime>>
    readonly containers?: ReadonlyMap<string, string | undefined>
  } = {}
): DeployResult => ({
  deployment,
  state,
  durationMs: more.durationMs ?? 0,
  failure: more.failure,
  after: more.after ?? [],
  components: jobs
    .filter(({ plan }) => plan.why !== "not asked for")
    .map(({ component, plan, previous }) => ({
      component: component.name,
      action: plan.action,
      fromImage: plan.fromImage,
      toImage: plan.toImage,
      containerId: more.containers?.get(component.name) ?? (plan.action === "create" ? undefined : previous?.id),
      steps: more.took?.get(component.name) ?? []
    }))
})

/** A deploy of some components stores their part of the spec and keeps the others' as they were. */
const merged = (
  { components, spec }: Pick<DeployRequest, "components" | "spec">,
  stored: ServiceSpec | undefined
): ServiceSpec => {
  if (components.length === 0) return spec
  const [first, ...rest] = spec.components.flatMap((component): ReadonlyArray<ComponentSpec> => {
    if (components.includes(component.name)) return [component]
    const kept = stored?.components.find((c) => c.name === component.name)
    return kept ? [kept] : []
  })
  return first ? { ...spec, components: [first, ...rest] } : spec
}

/** Goes back or forward after `starting`; answers how it ended. */
const conclude = (
  row: DeploymentRow,
  exit: Exit.Exit<void, Parameters<typeof failureOf>[0]>,
  hints: Parameters<typeof failureOf>[1],
  emit: Emit
) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    let ended: Exit.Exit<void, Parameters<typeof failureOf>[0]> = exit
    if (Exit.isSuccess(exit)) {
      const begun = Effect.zipRight(registry.setDeploymentState(row.id, "committing"), commit(row, emit))
      ended = yield* Effect.exit(begun)
      if (Exit.isSuccess(ended)) return undefined
    }
    const failure = Exit.isFailure(ended) ? Cause.failureOption(ended.cause) : Option.none()
    // Interrupted, or a defect: nothing is undone here, the rows explain it to the next start.
    if (Option.isNone(failure)) {
      return yield* Effect.failCause((ended as Exit.Failure<void, never>).cause)
    }
    const told = yield* failureOf(failure.value, hints)
    yield* undo(row, told, emit).pipe(step(emit, "", "roll back"))
    return told
  })

const begin = (request: DeployRequest, origin: Origin, spec: ServiceSpec, jobs: ReadonlyArray<Job>) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const id = yield* Ulid.make
    const { actor } = request
    const { kind, pinnedFrom, rollbackTo } = origin
    yield* registry.beginDeployment(
      { id, service: spec.name, kind, spec, actor, rollbackTo, pinnedFrom },
      jobs.map(stepOf)
    )
    return Option.getOrThrow(yield* registry.deployment(id))
  })

/** To be run under the service's lock. */
export const deployLocked = (request: DeployRequest, origin: Origin, listener: Emit) =>
  Effect.gen(function* () {
    const service = request.spec.name
    const registry = yield* Registry
    const { emit, took } = timed(listener)
    const startedAt = yield* Clock.currentTimeMillis
    const elapsed = Effect.map(Clock.currentTimeMillis, (now) => now - startedAt)
    yield* recover(service)
    const facts = yield* gather(service)
    if (request.respectPin && !request.force && facts.service && isPinned(facts.service, request.spec)) {
      return resultOf("", "pinned", [])
    }
    const spec = merged(request, facts.service?.spec)
    yield* validateMerged(spec)
    for (const warning of yield* warnings(request.spec)) yield* emit({ _tag: "Warning", ...warning })

    const wanted = chosen(request)
    // What runs goes on serving until its turn to be stopped: the agent still restarts it by its policy.
    yield* (yield* ServiceLocks).serve(
      service,
      [...facts.current.values()].map(({ id }) => id)
    )
    const low = yield* lowDisks
    const resolving = { pinned: origin.pinned, always: request.pull, mayPull: low.length === 0 }
    const images = yield* resolveImages(wanted, resolving, emit)
    const ids = new Map(wanted.map(({ name }) => [name as string, images.resolved.get(name)?.id]))
    const secrets = yield* wantedVersions(service, wanted, origin.secrets)
    const plans = planFrom(request, facts, ids, secrets)
    // What is only stopped, or is as it should be, needs no space.
    const needsSpace =
      images.failed.length > 0 || plans.some(({ action }) => action === "create" || action === "replace")
    const obstacles = yield* preflight(request.spec, wanted, facts, { ...images, secrets }, needsSpace ? low : [])
    yield* refuse(obstacles, { service, kind: origin.kind, actor: request.actor })
    const hints = yield* makeFolders(request.spec, wanted, images.resolved)
    for (const { component, hint } of hints) yield* emit({ _tag: "Warning", component, message: hint })

    const jobs = yield* jobsOf({ ...request, spec }, plans, facts, images.resolved, secrets)
    for (const orphan of plans.filter((each) => each.action === "orphan")) {
      yield* emit({ _tag: "Warning", component: orphan.component, message: orphan.why })
    }
    const asStored = facts.service !== undefined && canonicalService(facts.service.spec) === canonicalService(spec)
    if (asStored && jobs.every((job) => job.plan.action === "unchanged")) {
      const desired = spec.active ? ("running" as const) : ("stopped" as const)
      yield* registry.putService({ service, spec, desired, undeploying: false, pinnedFrom: origin.pinnedFrom })
      for (const { name } of wanted) yield* registry.setDesired(service, name, desired)
      return resultOf("", "succeeded", jobs, { durationMs: yield* elapsed })
    }

    const row = yield* begin(request, origin, spec, jobs)
    yield* emit({ _tag: "Started", deployment: row.id, plan: plans })
    const whenStarted = request.noWait
      ? emit({ _tag: "Result", result: resultOf(row.id, "starting", jobs) })
      : Effect.void
    const exit = yield* Effect.exit(bringUp({ spec, deployment: row.id, jobs, emit, whenStarted }))
    const failure = yield* conclude(row, exit, hints, emit)
    const containers = new Map((yield* registry.steps(row.id)).map((s) => [s.component, s.newContainerId]))
    yield* tidy(service)
    if (failure === undefined) {
      return resultOf(row.id, "succeeded", jobs, { took, containers, durationMs: yield* elapsed })
    }
    const after = yield* liveOrUnknown(Option.isSome(yield* registry.service(service)) ? service : undefined)
    return resultOf(row.id, "rolled_back", jobs, {
      failure,
      took,
      durationMs: yield* elapsed,
      after: after.filter((component) => component.service === service)
    })
  })

/** To be run under the service's lock: the definition as it is. */
export const deployAsDefined = (request: DeployRequest, listener: Emit) => deployLocked(request, asDefined, listener)

/**
 * Brings a service to its definition, whole or not at all: when one new container does not become ready, every component
 * goes back to what it was, and the result says `rolled_back`. Fails when nothing was touched.
 */
export const deploy = (request: DeployRequest, emit: Emit) =>
  Effect.gen(function* () {
    const locks = yield* ServiceLocks
    const service = request.spec.name
    yield* validate(request.spec, request.components)
    const result = yield* locks.withLock(
      service,
      "a deploy",
      waiting(request.wait, emit)
    )(deployAsDefined(request, emit))
    yield* emit({ _tag: "Result", result })
    return result
  }).pipe(Effect.annotateLogs({ service: request.spec.name }))

/** Whoever waits for the lock is told for whom. */
export const waiting = (wait: boolean, emit: Emit) => ({
  wait,
  onWait: (holder: { readonly act: string; readonly since: number }) =>
    emit({
      _tag: "Step",
      component: "",
      step: "wait",
      state: "running",
      message: `${holder.act} has been under way since ${new Date(holder.since).toISOString()}`,
      durationMs: 0
    })
})
