import { Effect, Option } from "effect"
import { Labels, serviceNetwork } from "../domain/Names.ts"
import { specHash } from "../domain/SpecHash.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ComponentRow, type DeploymentRow, Registry, type ServiceRow } from "../services/Registry.ts"
import { commit } from "./commit.ts"
import { discard, ownNetworkLabels } from "./containers.ts"
import { explain } from "./explain.ts"
import { keptRevisions, removeUnusedImages } from "./images.ts"
import { resolveRestores } from "./restoring.ts"
import { sweepSecrets } from "./secretFiles.ts"
import { undo } from "./undo.ts"

/** Whether a container of the service is, or is to be, on its own bridge. One of an older spec may be: it is not asked. */
const onBridge = (stored: ServiceRow | undefined, rows: ReadonlyArray<ComponentRow>) => {
  if (stored === undefined || stored.undeploying) return false
  const specs = new Map(stored.spec.components.map((component) => [component.name as string, component]))
  const older = ({ component, specHash: hash }: ComponentRow) => {
    const spec = specs.get(component)
    return spec === undefined || specHash(spec) !== hash
  }
  return stored.spec.components.some(({ network }) => network === undefined) || rows.some(older)
}

/** The service's own bridge, by whichever registry it was made: this one, or one whose containers were adopted. */
const removeBridge = (service: string) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    for (const maker of [registry.id, ...(yield* registry.adoptedRegistries(service))]) {
      // Somebody else's container on the bridge is no reason to fail.
      yield* Effect.catchTag(
        runtime.removeNetwork(serviceNetwork(service), ownNetworkLabels(service, maker)),
        "RuntimeRefused",
        (error) =>
          Effect.logWarning("the service's bridge stays").pipe(Effect.annotateLogs({ service, why: error.message }))
      )
    }
  })

/**
 * Removes what acts that are over left behind: containers that a deployment has replaced, and those that carry this
 * registry's label and a deployment of this service's history, where no row names them any more; ports of no container; a
 * bridge that nothing is on. To be run under the service's lock, with no deployment under way.
 */
export const sweep = (service: string) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    const rows = yield* registry.components(service)
    const named = new Set(rows.map((row) => row.containerId))
    // An adopted container carries no label of this registry: what it was replaced by names it.
    const replaced = new Set(yield* registry.replaced(service))
    const unnamed = (yield* runtime.list).filter(({ id }) => !named.has(id))
    for (const { id } of unnamed.filter(({ id }) => replaced.has(id))) yield* discard(id)
    const own = unnamed.filter(
      ({ id, labels }) =>
        !replaced.has(id) && labels[Labels.registry] === registry.id && labels[Labels.service] === service
    )
    for (const { id, labels } of own) {
      const intended = yield* registry.deployment(labels[Labels.deployment] ?? "")
      if (Option.isSome(intended) && intended.value.service === service) yield* discard(id)
    }
    yield* registry.releaseStrayPorts(service)
    yield* sweepSecrets(service, rows)
    yield* registry.pruneSecrets(service, keptRevisions)
    const stored = Option.getOrUndefined(yield* registry.service(service))
    if (!onBridge(stored, rows)) yield* removeBridge(service)
    yield* removeUnusedImages
    yield* registry.setSwept(service)
  })

const cutOff = (deployment: DeploymentRow) =>
  deployment.failure ?? {
    component: "",
    reason: "AGENT_ENDED",
    message: "the agent ended during the deployment",
    lastLogs: []
  }

/** `committing` goes forward, unless the proxy refuses routes that lead nowhere new yet; all else goes back. */
const resolve = (deployment: DeploymentRow) =>
  Effect.gen(function* () {
    const quiet = () => Effect.void
    yield* Effect.logWarning("resolving a deployment that did not finish").pipe(
      Effect.annotateLogs({ service: deployment.service, deployment: deployment.id, state: deployment.state })
    )
    if (deployment.state !== "committing") return yield* undo(deployment, cutOff(deployment), quiet)
    yield* commit(deployment, quiet).pipe(
      Effect.catchTag("ProxyRefused", (error) => {
        // Told only while the routes still lead to the old containers, none of which has been stopped.
        const failure = { component: "", reason: explain(error).reason, message: error.message, lastLogs: [] }
        return undo(deployment, failure, quiet)
      })
    )
  })

/** After an act, whatever became of it. What is left over is explained by the rows: a removal that fails is made good later. */
export const tidy = (service: string) =>
  Effect.gen(function* () {
    if ((yield* (yield* Registry).unswept).includes(service)) yield* sweep(service)
  }).pipe(
    Effect.catchAll((error) =>
      Effect.logWarning("what was replaced is not removed yet").pipe(Effect.annotateLogs({ why: error.message }))
    )
  )

/** Ends what a crash left of a service: a restore or a deployment between two states, and whatever nothing names. */
export const recover = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    yield* resolveRestores(service)
    const unfinished = (yield* registry.unfinishedDeployments).filter((row) => row.service === service)
    for (const deployment of unfinished) yield* resolve(deployment)
    if (unfinished.length > 0 || (yield* registry.unswept).includes(service)) yield* sweep(service)
  })
