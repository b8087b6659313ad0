import { Effect, Option } from "effect"
import type { ComponentSpec } from "../domain/Spec.ts"
import { updateOrderOf } from "../domain/UpdateOrder.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, Registry, type ServiceRow } from "../services/Registry.ts"
import { discard, orphanStopTimeout } from "./containers.ts"
import { deployLocked } from "./deploy.ts"
import { gather } from "./facts.ts"
import { findService } from "./findService.ts"
import { noteFailure } from "./noteFailure.ts"
import { type Outcome, ordered, startOne, stopOne } from "./oneComponent.ts"
import { ComponentNotFound, NotReady } from "./ProgramError.ts"
import { isAway, untilItAnswers } from "./progress.ts"
import { recover, sweep, tidy } from "./recover.ts"
import { changeRoutes, keysOf } from "./routes.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

export interface Target {
  readonly service: string
  /** Absent: the whole service. */
  readonly component: string | undefined
  /** Who asks for it. */
  readonly actor?: string
}

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
        const tidied = () => tidy(target.service)
        return yield* Effect.tapBoth(body(row, components, orphans), { onSuccess: tidied, onFailure: tidied })
      })
    )
  }).pipe(Effect.annotateLogs({ service: target.service }))

/** Desired is written first: whatever happens next, nothing starts it again. What is no longer defined is stopped too. */
export const stop = (target: Target) =>
  act(target, "a stop", (row, components, orphans) =>
    Effect.gen(function* () {
      yield* (yield* Registry).setDesired(target.service, target.component, "stopped", target.actor)
      yield* changeRoutes([], yield* keysOf(target.service, components))
      const inOrder = [
        ...ordered(row.spec, components).reverse(),
        ...orphans.map((name) => ({ name, stopTimeout: orphanStopTimeout }))
      ]
      return yield* Effect.forEach(inOrder, (component) => stopOne(row.service, component))
    })
  )

/** As `startOne`; that it fails is recorded. */
const startWith =
  (row: ServiceRow, kind: "start" | "restart", actor = "") =>
  (component: ComponentSpec) =>
    Effect.tapError(startOne(row, component), (error) =>
      noteFailure({ service: row.service, component: component.name, kind, from: "", to: "failed", actor }, error)
    )

export const start = (target: Target) =>
  act(target, "a start", (row, components) =>
    Effect.gen(function* () {
      yield* (yield* Registry).setDesired(target.service, target.component, "running", target.actor)
      return yield* Effect.forEach(ordered(row.spec, components), startWith(row, "start", target.actor))
    })
  )

/** Of what should run: a new container beside the old one where the component allows it, else stop and start. */
export const restart = (target: Target, actor: string) =>
  act(target, "a restart", (row, components) =>
    Effect.gen(function* () {
      const registry = yield* Registry
      const rows = yield* registry.components(row.service)
      const wanted = new Set(rows.filter((r) => r.desired === "running").map((r) => r.component))
      const running = ordered(row.spec, components).filter((c) => wanted.has(c.name))
      const beside = running.filter((component) => updateOrderOf(component, row.spec) === "start-first")
      const after = running.filter((component) => !beside.includes(component))
      if (after.length > 0) {
        // Written first: with the registry away nothing is stopped.
        const { component = "", service } = target
        yield* registry.recordEvent({ service, component, kind: "restart", from: "", to: "begun", message: "", actor })
      }
      yield* Effect.forEach([...after].reverse(), (component) => stopOne(row.service, component))
      const started = yield* Effect.forEach(after, startWith(row, "restart", actor))
      const replaced = beside.length > 0 ? yield* replaceBeside(row, beside, rows, actor) : []
      const resting = components.filter((c) => !wanted.has(c.name))
      return [
        ...started,
        ...replaced,
        ...resting.map((c): Outcome => ({ component: c.name, changed: false, observed: "stopped" }))
      ]
    })
  )

const replaceBeside = (
  row: ServiceRow,
  components: ReadonlyArray<ComponentSpec>,
  rows: ReadonlyArray<ComponentRow>,
  actor: string
) =>
  Effect.gen(function* () {
    const names = components.map(({ name }) => name as string)
    const pinned = new Map(
      rows.flatMap(({ component, imageId }) =>
        imageId === undefined ? [] : [[component, { imageId, digest: undefined }] as const]
      )
    )
    const secrets = new Map(rows.map(({ component, secrets }) => [component, secrets]))
    const request = {
      spec: row.spec,
      components: names,
      force: true,
      pull: false,
      noWait: false,
      wait: false,
      respectPin: false,
      actor
    }
    const { failure } = yield* deployLocked(
      request,
      { kind: "restart", pinned, secrets, ...(row.pinnedFrom === undefined ? {} : { pinnedFrom: row.pinnedFrom }) },
      () => Effect.void
    )
    if (failure) {
      const { component, message: why, reason } = failure
      return yield* new NotReady({ component, reason: reason.toLowerCase(), why })
    }
    return names.map((component): Outcome => ({ component, changed: true, observed: "running" }))
  })

/** Containers, the service's own bridge and its rows gone, in an order that a crash can take up again; files stay. */
export const undeploy = (service: string, actor = "") =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const locks = yield* ServiceLocks
    // Looked at under the lock: a first deployment that is under way has no row of the service yet.
    const gone = Effect.map(registry.service(service), Option.isNone)
    if ((yield* registry.deployments(service, 1)).length === 0) yield* findService(service)
    return yield* locks.withLock(
      service,
      "an undeploy"
    )(Effect.if(gone, { onTrue: () => Effect.succeed([]), onFalse: () => undeployLocked(service, actor) }))
  }).pipe(Effect.annotateLogs({ service }))

const undeployLocked = (service: string, actor: string) =>
  Effect.gen(function* () {
    yield* recover(service)
    const row = yield* findService(service)
    // With the runtime away nothing is begun.
    yield* (yield* ContainerRuntime).list
    return yield* dropService(row, actor)
  })

/** All there is of a service but its files; to be run under its lock. Answers the names of the containers. */
export const dropService = (row: ServiceRow, actor = "") =>
  Effect.gen(function* () {
    yield* (yield* Registry).putService({ ...row, undeploying: true })
    return yield* finishUndeploy(row, actor)
  })

/** From the row `undeploying` on there is only forward; each step again changes nothing. */
const finishUndeploy = (row: ServiceRow, actor: string) =>
  Effect.gen(function* () {
    const { service } = row
    const registry = yield* Registry
    const runtime = yield* ContainerRuntime
    yield* registry.setDesired(service, undefined, "stopped", actor)
    // A proxy that refuses to forget a route is no reason to keep what it leads to.
    yield* Effect.catchTag(changeRoutes([], yield* keysOf(service, row.spec.components)), "ProxyRefused", (error) =>
      Effect.logError("routes are not removed").pipe(Effect.annotateLogs({ why: error.message }))
    )
    const { current, rows } = yield* gather(service)
    const stopping = ordered(row.spec, row.spec.components).reverse()
    const orphans = [...current.keys()].filter((name) => !stopping.some((component) => component.name === name))
    const removed: Array<string> = []
    for (const component of [...stopping, ...orphans.map((name) => ({ name, stopTimeout: orphanStopTimeout }))]) {
      const container = current.get(component.name)
      if (!container) continue
      if (container.state === "running") {
        yield* Effect.catchTag(
          runtime.stop(container.id, component.stopTimeout),
          "ContainerNotFound",
          () => Effect.void
        )
      }
      yield* discard(container.id)
      removed.push(container.containerName)
    }
    // Also those of containers that an earlier attempt removed before it was cut off.
    for (const { containerId } of rows.values()) if (containerId) yield* registry.releasePorts(containerId)
    yield* sweep(service)
    yield* registry.removeService(service)
    return removed
  }).pipe(
    Effect.tapError((error) =>
      Effect.logWarning("an undeploy is held up and will be tried again").pipe(
        Effect.annotateLogs({ why: error.message })
      )
    ),
    Effect.retry({ schedule: untilItAnswers, while: isAway })
  )
