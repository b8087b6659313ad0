import { Clock, Effect, Option } from "effect"
import { dueOf } from "../domain/Restart.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import type { RestoreState } from "../domain/State.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type DeploymentFailure, type NewEvent, Registry, type RestoreRow } from "../services/Registry.ts"
import { ServiceData } from "../services/ServiceData.ts"
import { orphanStopTimeout } from "./containers.ts"
import type { Emit } from "./DeployEvent.ts"
import { ComponentFailed } from "./deployFailure.ts"
import { type Facts, gather } from "./facts.ts"
import { noteFailure } from "./noteFailure.ts"
import { ordered, routesTo, startOne, stopOne } from "./oneComponent.ts"
import { isAway, step, untilItAnswers } from "./progress.ts"
import { restartsOf } from "./restarts.ts"
import { changeRoutes, keysOf } from "./routes.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { restoreSecrets } from "./secretFiles.ts"

/* What a restore does to a service whose data it replaces, and how it goes back. */

const specOf = (service: string) =>
  Effect.map(
    Effect.flatMap(Registry, (registry) => registry.service(service)),
    (row) => Option.getOrUndefined(row)?.spec
  )

/** Those of a spec in its order, and then those that no spec has any more. */
const inOrder = (spec: ServiceSpec | undefined, names: ReadonlyArray<string>) => {
  const components = spec === undefined ? [] : ordered(spec, spec.components).filter(({ name }) => names.includes(name))
  return { components, orphans: names.filter((name) => !components.some((each) => each.name === name)) }
}

const running = ({ current }: Facts) =>
  [...current].filter(([, { state }]) => state === "running").map(([component]) => component)

/** From now on until the act is over nobody else starts one of its containers. */
const takeOver = (service: string) =>
  Effect.gen(function* () {
    const locks = yield* ServiceLocks
    for (const { id } of (yield* gather(service)).current.values()) yield* locks.withdraw(service, id)
    return yield* gather(service)
  })

/** What is between two starts: it may be the data that it cannot run on. */
const waiting = ({ current, rows, service }: Facts) =>
  Effect.gen(function* () {
    if (service === undefined || service.undeploying) return []
    const restarts = yield* (yield* Registry).restarts
    const now = yield* Clock.currentTimeMillis
    return service.spec.components.flatMap(({ name, restart }) => {
      const [row, container] = [rows.get(name), current.get(name)]
      if (row?.desired !== "running" || container === undefined) return []
      const { act } = dueOf(restart, container, restartsOf(restarts, row), now)
      return act === "restart" || act === "start" ? [name as string] : []
    })
  })

/** The components that run or wait for their next start. From now on until the act is over nobody else starts one. */
export const toRunAgain = (service: string) =>
  Effect.gen(function* () {
    const facts = yield* takeOver(service)
    return [...running(facts), ...(yield* waiting(facts))]
  })

/** Routes away first; desired states are as they were. */
export const stopAll = (service: string, tell: Emit) =>
  Effect.gen(function* () {
    const facts = yield* takeOver(service)
    const names = running(facts)
    if (names.length === 0) return
    const { components, orphans } = inOrder(facts.service?.spec, names)
    yield* changeRoutes([], yield* keysOf(service, components))
    const stopping = [
      ...[...components].reverse(),
      ...orphans.map((name) => ({ name, stopTimeout: orphanStopTimeout }))
    ]
    yield* Effect.forEach(stopping, (each) => step(tell, each.name, "stop")(stopOne(service, each)), { discard: true })
  })

/** As it is: what it was made from is in no spec. */
const startOrphan = (service: string, component: string) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const { current, rows } = yield* gather(service)
    const container = current.get(component)
    const known = rows.get(component)
    if (container === undefined) return
    if (known !== undefined) yield* restoreSecrets(known)
    yield* runtime.start(container.id)
    yield* (yield* Registry).setObserved(service, component, "running")
  })

/** Each is waited for until it is ready. */
export const startAll = (service: string, names: ReadonlyArray<string>, tell: Emit) =>
  Effect.gen(function* () {
    const row = Option.getOrUndefined(yield* (yield* Registry).service(service))
    const { components, orphans } = inOrder(row?.spec, names)
    const failed = (component: string) =>
      Effect.mapError((error: Parameters<typeof noteFailure>[1]) => new ComponentFailed(service, component, error))
    if (row !== undefined) {
      yield* Effect.forEach(
        components,
        (each) => startOne(row, each).pipe(step(tell, each.name, "start"), failed(each.name)),
        { discard: true }
      )
    }
    yield* Effect.forEach(orphans, (name) => startOrphan(service, name).pipe(step(tell, name, "start"), failed(name)), {
      discard: true
    })
  })

/** Longer than that nobody waits for what has its old data back: from then on it is as any other that is not ready. */
const readyWithin = "10 seconds"

/** What cannot start on the data that it had before must not keep that data from being back. */
const startBack = (service: string, names: ReadonlyArray<string>, tell: Emit) =>
  Effect.gen(function* () {
    yield* Effect.forEach(
      names,
      (component) =>
        startAll(service, [component], tell).pipe(
          Effect.timeoutOption(readyWithin),
          Effect.mapError((failed) => (failed._tag === "ComponentFailed" ? failed.error : failed)),
          Effect.catchIf(
            (error) => !isAway(error),
            (error) => noteFailure({ service, component, kind: "start", from: "", to: "failed", actor: "" }, error)
          )
        ),
      { discard: true }
    )
    const row = Option.getOrUndefined(yield* (yield* Registry).service(service))
    if (row === undefined) return
    const { current } = yield* gather(service)
    const runs = ({ name }: { readonly name: string }) => current.get(name)?.state === "running"
    yield* routesTo(
      row,
      row.spec.components.filter((each) => names.includes(each.name) && runs(each))
    )
  })

export const restoreEvent = (row: RestoreRow, to: string, message: string, reason = ""): NewEvent => ({
  ...{ service: row.service, component: "", kind: "restore", from: "", to, message, reason },
  actor: row.actor
})

/** Tried again until it is written. */
export const toState = (row: RestoreRow, state: RestoreState, event?: NewEvent) =>
  Effect.flatMap(Registry, (registry) => registry.putRestore({ ...row, state }, event)).pipe(
    Effect.retry({ schedule: untilItAnswers })
  )

/**
 * The data that was there before is back, and what ran runs again. The same after a crash at any moment and for a failure
 * under way; tried again until it is done, and nothing else of the service is started meanwhile.
 */
export const goBack = (restore: RestoreRow, failure: DeploymentFailure, tell: Emit) => {
  const row = { ...restore, failure }
  const { id, running, service } = row
  return Effect.gen(function* () {
    const data = yield* ServiceData
    yield* (yield* Registry).putRestore({ ...row, state: "putting_back" })
    yield* stopAll(service, tell)
    yield* step(tell, "", "put back")(data.putBack(service, id))
    const { components, orphans } = inOrder(yield* specOf(service), running)
    yield* startBack(service, [...components.map(({ name }) => name), ...orphans], tell)
    yield* toState(row, "rolled_back", restoreEvent(row, "rolled_back", failure.message, failure.reason))
  }).pipe(
    Effect.tapError((error) =>
      Effect.zipRight(
        Effect.logWarning("a restore is not undone yet and will be tried again").pipe(
          Effect.annotateLogs({ service, restore: id, why: error.message })
        ),
        tell({
          _tag: "Step",
          component: "",
          step: "put back",
          state: "retrying",
          message: error.message,
          durationMs: 0
        })
      )
    ),
    Effect.retry({ schedule: untilItAnswers })
  )
}

/** Nothing of it is left over, and then its row is gone, too. What fails is made good by the next act. */
export const clear = ({ id, service }: Pick<RestoreRow, "id" | "service">) =>
  Effect.gen(function* () {
    yield* (yield* ServiceData).discard(service, id)
    yield* (yield* Registry).dropRestore(id)
  }).pipe(
    Effect.catchAll((error) =>
      Effect.logWarning("what a restore has left is not cleared yet").pipe(
        Effect.annotateLogs({ service, restore: id, why: error.message })
      )
    )
  )

const cutOff: DeploymentFailure = {
  component: "",
  reason: "AGENT_ENDED",
  message: "the agent ended during the restore",
  lastLogs: []
}

const untouched: ReadonlySet<RestoreState> = new Set(["staging", "succeeded", "rolled_back"])

/** Ends what a crash left of a service's restores. To be run under its lock, with none under way. */
export const resolveRestores = (service: string) =>
  Effect.gen(function* () {
    const left = (yield* (yield* Registry).restores).filter((row) => row.service === service)
    for (const row of left) {
      if (!untouched.has(row.state)) {
        yield* Effect.logWarning("resolving a restore that did not finish").pipe(
          Effect.annotateLogs({ service, restore: row.id, state: row.state })
        )
        yield* goBack(row, row.failure ?? cutOff, () => Effect.void)
      }
      yield* clear(row)
    }
  })
