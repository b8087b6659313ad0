import { Cause, Effect, Exit, Option } from "effect"
import { checkContainerNames, checkRoutes } from "../domain/NodeRules.ts"
import type { ComponentPlan } from "../domain/Plan.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import { canonicalService } from "../domain/SpecHash.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { NodeResources } from "../services/NodeResources.ts"
import { Registry, type ServiceRow } from "../services/Registry.ts"
import type { DeployEvent } from "./DeployEvent.ts"
import { type DeployRequest, deployAsDefined, isPinned, planDeploy } from "./deploy.ts"
import { explain, type ProgramError } from "./explain.ts"
import { type Facts, gather } from "./facts.ts"
import { followActive } from "./followActive.ts"
import { planFrom } from "./jobs.ts"
import { ServiceBusy, SpecInvalid } from "./ProgramError.ts"
import { recover, tidy } from "./recover.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { type UnknownContainer, unknownContainers } from "./unmanaged.ts"
import { validate } from "./validate.ts"

export interface SyncRequest {
  /** Every definition of the node that the caller may send. */
  readonly specs: ReadonlyArray<ServiceSpec>
  /** Services whose definitions were sent too, and are not to be followed. */
  readonly refused: ReadonlyArray<string>
  readonly dryRun: boolean
  readonly actor: string
}

/** What became of one service, or with `dryRun` would become. */
export interface Synced {
  readonly service: string
  readonly outcome: "deployed" | "started" | "stopped" | "unchanged" | "pinned" | "busy" | "failed"
  readonly plan: ReadonlyArray<ComponentPlan>
  /** The one that was made, if any. */
  readonly deployment: string
  readonly warnings: ReadonlyArray<string>
  /** Set when it failed, is busy or pinned. */
  readonly reason: string
  readonly message: string
  readonly nextStep: string
  /** The one that failed, and its last lines. */
  readonly component: string
  readonly lastLogs: ReadonlyArray<string>
}

export interface SyncResult {
  readonly unmanaged: ReadonlyArray<UnknownContainer>
  /** Services of the registry that no definition was sent for. */
  readonly notDefined: ReadonlyArray<string>
}

const as = (service: string, outcome: Synced["outcome"], more: Partial<Synced> = {}): Synced => ({
  ...{ service, outcome, plan: [], deployment: "", warnings: [] },
  ...{ reason: "", message: "", nextStep: "", component: "", lastLogs: [] },
  ...more
})

/** A service of which nothing was done. */
export const refusal = (service: string, why: Pick<Synced, "reason" | "message" | "nextStep">): Synced =>
  as(service, "failed", why)

/** A service that was not brought to its definition, in the words of the error that says why. */
export const notSynced = (service: string, error: ProgramError): Synced =>
  as(service, error._tag === "ServiceBusy" ? "busy" : "failed", {
    ...explain(error),
    message: error.message,
    ...(error._tag === "NotReady"
      ? { component: error.component, nextStep: `mcp logs ${service}/${error.component}, then mcp start ${service}` }
      : {})
  })

/** All but `active`, which is no part of a version. */
const sameVersion = (a: ServiceSpec, b: ServiceSpec) =>
  canonicalService({ ...a, active: true }) === canonicalService({ ...b, active: true })

type Situation =
  | { readonly kind: "pinned" | "undeployed" | "changed" }
  | { readonly kind: "equal"; readonly row: ServiceRow; readonly plan: ReadonlyArray<ComponentPlan> }

/** What there is to do for a service, as the registry and the runtime have it now. */
const situationOf = (spec: ServiceSpec, facts: Facts) =>
  Effect.gen(function* () {
    const row = facts.service
    const is = (situation: Situation) => situation
    if (row === undefined) {
      const past = yield* (yield* Registry).deployments(spec.name, 1)
      // An undeploy is not undone by a definition that says itself that nothing is to run.
      return is({ kind: !spec.active && past.length > 0 ? "undeployed" : "changed" })
    }
    if (isPinned(row, spec)) return is({ kind: "pinned" })
    if (row.undeploying || !sameVersion(row.spec, spec)) return is({ kind: "changed" })
    // Images and secrets are not looked at: one that moved under its name, or was set anew, is a deploy's.
    const plan = planFrom({ spec, components: [], force: false }, facts, new Map(), new Map())
    return is({ kind: "equal", row, plan })
  })

const pinned = (service: string) =>
  as(service, "pinned", {
    reason: "PINNED",
    message: "it was rolled back from this definition",
    nextStep: `change the definition, or mcp deploy ${service} --force`
  })

const works = ({ action }: ComponentPlan) => action !== "unchanged" && action !== "orphan"

const equalOutcome = ({ active, name }: ServiceSpec, plan: ReadonlyArray<ComponentPlan>): Synced =>
  as(name, plan.some(works) ? (active ? "started" : "stopped") : "unchanged", { plan })

const requestOf = (spec: ServiceSpec, actor: string): DeployRequest => ({
  ...{ spec, actor, components: [], force: false, pull: false, noWait: false, wait: false, respectPin: true }
})

const deployChanged = (spec: ServiceSpec, actor: string) =>
  Effect.gen(function* () {
    const { name } = spec
    let plan: ReadonlyArray<ComponentPlan> = []
    const warnings: Array<string> = []
    const listen = (event: DeployEvent) =>
      Effect.sync(() => {
        if (event._tag === "Started") plan = event.plan
        const told =
          event._tag === "Warning" && !plan.some((p) => p.action === "orphan" && p.component === event.component)
        if (told) warnings.push(event.component === "" ? event.message : `${event.component}: ${event.message}`)
      })
    const { deployment, failure, state } = yield* deployAsDefined(requestOf(spec, actor), listen)
    if (state === "pinned") return pinned(name)
    if (failure === undefined)
      return as(name, deployment === "" ? "unchanged" : "deployed", { plan, deployment, warnings })
    return as(name, "failed", { plan, deployment, warnings, ...failure })
  })

const syncLocked = (spec: ServiceSpec, actor: string) =>
  Effect.gen(function* () {
    yield* recover(spec.name)
    const situation = yield* situationOf(spec, yield* gather(spec.name))
    switch (situation.kind) {
      case "pinned":
        return pinned(spec.name)
      case "undeployed":
        return as(spec.name, "unchanged")
      case "changed":
        return yield* deployChanged(spec, actor)
      case "equal": {
        const { plan, row } = situation
        const act = new Set(plan.filter(works).map(({ component }) => component))
        const tidied = () => tidy(spec.name)
        yield* Effect.tapBoth(followActive(row, spec, act, actor), { onSuccess: tidied, onFailure: tidied })
        return equalOutcome(spec, plan)
      }
    }
  })

const foresee = (spec: ServiceSpec) =>
  Effect.gen(function* () {
    const holder = yield* (yield* ServiceLocks).holder(spec.name)
    if (Option.isSome(holder) && !holder.value.automatic) {
      const { act, since } = holder.value
      return yield* new ServiceBusy({ service: spec.name, holder: act, since })
    }
    const situation = yield* situationOf(spec, yield* gather(spec.name))
    switch (situation.kind) {
      case "pinned":
        return pinned(spec.name)
      case "undeployed":
        return as(spec.name, "unchanged")
      case "changed": {
        const { components, warnings } = yield* planDeploy({ spec, components: [], force: false })
        const told = warnings.map(({ component, message }) => (component === "" ? message : `${component}: ${message}`))
        return as(spec.name, "deployed", { plan: components, warnings: told })
      }
      case "equal":
        return equalOutcome(spec, situation.plan)
    }
  })

/** What a definition claims that another one of the same sync claims too: whichever came first would win unseen. */
const againstEachOther = (spec: ServiceSpec, all: ReadonlyArray<ServiceSpec>) =>
  Effect.gen(function* () {
    const others = all.filter(({ name }) => name !== spec.name)
    const names = others.map(({ components, name }) => ({ service: name, components: components.map((c) => c.name) }))
    const [first, ...rest] = [
      ...checkContainerNames(spec, names),
      ...checkRoutes(spec, others, (yield* NodeInfo).zone)
    ].map(({ message, path }) => ({ field: path.join("."), description: message }))
    if (first) return yield* new SpecInvalid({ service: spec.name, violations: [first, ...rest] })
  })

const syncOne = (spec: ServiceSpec, request: SyncRequest) =>
  Effect.gen(function* () {
    const locks = yield* ServiceLocks
    yield* againstEachOther(spec, request.specs)
    yield* validate(spec, [])
    if (request.dryRun) return yield* foresee(spec)
    return yield* locks.withLock(spec.name, "a sync")(syncLocked(spec, request.actor))
  }).pipe(
    Effect.catchAll((error) => Effect.succeed(notSynced(spec.name, error))),
    Effect.annotateLogs({ service: spec.name })
  )

const twice = (specs: ReadonlyArray<ServiceSpec>) =>
  specs.find((spec, i) => specs.findIndex(({ name }) => name === spec.name) !== i)

/**
 * Brings each service to its definition, side by side, each under its own lock, and tells of each as it is done; one
 * that is busy or fails stops none of the others. Never removes anything.
 */
export const sync = (request: SyncRequest, tell: (synced: Synced) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { specs } = request
    const double = twice(specs)
    if (double) {
      const violations = [{ field: "specs", description: `${double.name} is sent twice` }] as const
      return yield* new SpecInvalid({ service: double.name, violations })
    }
    // With the runtime away nothing is begun.
    yield* (yield* ContainerRuntime).list
    const atOnce = 2 * (yield* (yield* NodeResources).cpus)
    const exits = yield* Effect.forEach(specs, (spec) => Effect.exit(Effect.flatMap(syncOne(spec, request), tell)), {
      concurrency: atOnce
    })
    // A defect of one service's ends the call, but only once the others are done.
    const defects = exits.flatMap((exit) => (Exit.isFailure(exit) ? [exit.cause] : []))
    if (defects.length > 0) return yield* Effect.failCause(defects.reduce(Cause.parallel))
    const names = [...specs.map(({ name }) => name as string), ...request.refused]
    const unmanaged = yield* unknownContainers(names)
    const notDefined = (yield* registry.services).map(({ service }) => service).filter((name) => !names.includes(name))
    return { unmanaged, notDefined } satisfies SyncResult
  }).pipe(Effect.annotateLogs({ act: request.dryRun ? "a sync's dry run" : "a sync" }))
