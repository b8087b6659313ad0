import { Effect } from "effect"
import { containerName } from "../domain/Names.ts"
import { startOrder } from "../domain/Plan.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import {
  type DeploymentFailure,
  type DeploymentRow,
  type DeploymentStepRow,
  Registry,
  type ServiceRow
} from "../services/Registry.ts"
import { held } from "./commit.ts"
import { discard, orphanStopTimeout, revive } from "./containers.ts"
import type { Emit } from "./DeployEvent.ts"
import { allocatedTo, type Facts, gather, madeBy } from "./facts.ts"
import { noteFailure } from "./noteFailure.ts"
import { isAway, untilItAnswers } from "./progress.ts"
import { changeRoutes, keysOf, proxyRoutes } from "./routes.ts"
import { restoreSecrets } from "./secretFiles.ts"

/** The previous container gets its name back before anything is started: podman resolves names as they were then. */
const nameBack = (service: string, step: DeploymentStepRow, facts: Facts) =>
  Effect.gen(function* () {
    const name = containerName(service, step.component)
    const there = facts.containers.find((container) => container.id === step.previousContainerId)
    if (step.action !== "replace" || there === undefined || there.containerName === name) return
    const runtime = yield* ContainerRuntime
    yield* Effect.catchTag(runtime.rename(there.id, name), "ContainerNotFound", () => Effect.void)
  })

const restarted = { kind: "restarted", from: "stopped", to: "failed", actor: "" } as const

const runBack = (row: ServiceRow | undefined, step: DeploymentStepRow) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const component = row?.spec.components.find(({ name }) => name === step.component)
    const previous = step.previousContainerId
    if (row === undefined || previous === undefined) return
    const facts = yield* gather(row.service)
    const now = facts.current.get(step.component)
    if (now === undefined || step.action === "unchanged") return
    if (!step.previousRan) {
      return yield* Effect.catchTag(
        runtime.stop(previous, component?.stopTimeout ?? orphanStopTimeout),
        "ContainerNotFound",
        () => Effect.void
      )
    }
    if (now.state === "running") return
    // A previous container that cannot start again must not keep its siblings down.
    // An orphan has no stored spec to follow: it is started as it is.
    const known = facts.rows.get(step.component)
    const asItIs = Effect.zipRight(known ? restoreSecrets(known) : Effect.void, runtime.start(previous))
    const again = component ? Effect.asVoid(revive(row, component, facts)) : asItIs
    yield* again.pipe(
      Effect.catchIf(
        (error) => !isAway(error),
        (error) =>
          Effect.logError("the previous container does not start again").pipe(
            Effect.annotateLogs({ service: row.service, component: step.component, why: error.message }),
            Effect.zipRight(noteFailure({ ...restarted, service: row.service, component: step.component }, error))
          )
      )
    )
  })

/** The proxy leads to what runs again. A refusal was for the new routes; these it has had before. */
const routesBack = (deployment: DeploymentRow, row: ServiceRow | undefined) =>
  Effect.gen(function* () {
    const before = row?.spec.components ?? []
    if (![...before, ...deployment.spec.components].some(({ routes }) => routes.length > 0)) return
    const facts = yield* gather(deployment.service)
    const serving = before.flatMap((component) =>
      facts.rows.get(component.name)?.desired === "running"
        ? [{ component, allocated: allocatedTo(facts.ports, facts.current.get(component.name)?.id) }]
        : []
    )
    const set = row ? yield* proxyRoutes(row.spec, serving) : []
    yield* changeRoutes(set, yield* keysOf(deployment.service, deployment.spec.components))
  })

/**
 * The state `rolling_back`, from the deployment's rows and the containers' labels alone, so that a crash at any moment
 * and a failure under way are undone by the same code: what it made is removed, what it set aside gets its name back and
 * runs again if it was to run. Tried again until it is done.
 */
export const undo = (deployment: DeploymentRow, failure: DeploymentFailure, emit: Emit) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { id, service } = deployment
    yield* registry.setDeploymentState(id, "rolling_back", failure)
    const steps = new Map((yield* registry.steps(id)).map((step) => [step.component, step]))
    const facts = yield* gather(service)
    const made = facts.containers.filter((container) => madeBy(container, registry.id, id))
    yield* Effect.forEach(made, (container) => discard(container.id), { concurrency: "unbounded", discard: true })
    yield* Effect.forEach(steps.values(), (step) => nameBack(service, step, facts), { discard: true })
    for (const stage of startOrder(deployment.spec.components)) {
      for (const component of stage) {
        const step = steps.get(component)
        if (step) yield* runBack(facts.service, step)
      }
    }
    yield* routesBack(deployment, facts.service)
    yield* registry.setDeploymentState(id, "rolled_back", failure)
  }).pipe(
    Effect.tapError((error) => held(deployment.id, deployment.service, error.message, emit)),
    Effect.retry({ schedule: untilItAnswers })
  )
