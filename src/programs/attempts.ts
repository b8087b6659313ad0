import { Effect, Option } from "effect"
import type { Attempt, Findings } from "../domain/Findings.ts"
import type { DeploymentState } from "../domain/State.ts"
import type { Container } from "../services/ContainerRuntime.ts"
import {
  type ComponentRow,
  type DeploymentRow,
  type DeploymentStepRow,
  type EventRow,
  Registry,
  type RestartRow,
  type ServiceRow
} from "../services/Registry.ts"

const deploymentsLookedAt = 3
const eventsLookedAt = 500

/** What the registry has of one service, from which it is explained. */
export interface Past {
  readonly service: string
  readonly stored: ServiceRow | undefined
  readonly rows: ReadonlyMap<string, ComponentRow>
  readonly restarts: ReadonlyMap<string, RestartRow>
  /** Newest first. */
  readonly deployments: ReadonlyArray<DeploymentRow>
  readonly steps: ReadonlyMap<string, ReadonlyArray<DeploymentStepRow>>
  /** Oldest first. */
  readonly events: ReadonlyArray<EventRow>
  /** The containers that the newest deployment has made, by component. */
  readonly made: ReadonlyMap<string, string>
  readonly components: ReadonlyArray<string>
  /** Something of it was here once. */
  readonly known: boolean
}

export const pastOf = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const stored = Option.getOrUndefined(yield* registry.service(service))
    const rows = new Map((yield* registry.components(service)).map((row) => [row.component, row]))
    const restarts = (yield* registry.restarts).filter((row) => row.service === service)
    const deployments = yield* registry.deployments(service, deploymentsLookedAt)
    const steps = new Map<string, ReadonlyArray<DeploymentStepRow>>()
    for (const { id } of deployments) steps.set(id, yield* registry.steps(id))
    const events = yield* registry.events({ service, since: 0, after: 0, limit: eventsLookedAt })
    const newest = steps.get(deployments[0]?.id ?? "") ?? []
    // Of what was refused before anything was written down only the events tell.
    const defined = (stored ?? deployments[0])?.spec.components.map(({ name }) => name as string)
    const told = events.flatMap(({ component }) => (component === "" ? [] : [component]))
    // A component that is new in the definition, and was refused with it.
    const accepted = Math.max(stored?.updatedAt ?? 0, deployments[0]?.startedAt ?? 0)
    const refused = events.filter(({ at, component, to }) => to === "refused" && component !== "" && at > accepted)
    return {
      service,
      stored,
      rows,
      restarts: new Map(restarts.map((row) => [row.component, row])),
      deployments,
      steps,
      events,
      made: new Map(
        newest.flatMap(({ component, newContainerId }) =>
          newContainerId ? [[component, newContainerId] as const] : []
        )
      ),
      components: [
        ...new Set([...(defined ?? told), ...rows.keys(), ...refused.slice(-1).map(({ component }) => component)])
      ].sort(),
      known: stored !== undefined || deployments.length > 0 || events.length > 0
    } satisfies Past
  })

const over: ReadonlySet<DeploymentState> = new Set(["succeeded", "rolled_back"])

/** Acts that start a container. */
const starts: ReadonlySet<string> = new Set(["restarted", "start", "restart", "heal"])

const isOf = (component: string) => (event: EventRow) => event.component === "" || event.component === component

/** The newest attempt to change the service, unless it succeeded or something was accepted after it. */
export const attemptOf = (
  past: Past,
  component: string
): (Attempt & { readonly lastLogs: ReadonlyArray<string> }) | undefined => {
  const { deployments, events, stored } = past
  const [newest] = deployments
  if (newest !== undefined && !over.has(newest.state)) {
    const { actor, failure, kind, lastError, startedAt, state } = newest
    return { kind, actor, at: startedAt, state: "under_way", stage: state, lastError, failure, lastLogs: [] }
  }
  const accepted = stored?.updatedAt ?? -1
  const refused = events.findLast((event) => event.to === "refused" && isOf(component)(event))
  if (refused !== undefined && refused.at > accepted && refused.at >= (newest?.finishedAt ?? 0)) {
    const { actor, at, kind, message, reason } = refused
    const failure = { component: refused.component, reason, message }
    return {
      kind: kind === "rollback" || kind === "restart" ? kind : "deploy",
      ...{ actor, at, failure, state: "refused", lastLogs: [] }
    }
  }
  if (newest?.state !== "rolled_back" || newest.failure === undefined) return undefined
  const at = newest.finishedAt ?? newest.startedAt
  if (at <= accepted) return undefined
  const { failure } = newest
  return { kind: newest.kind, actor: newest.actor, at, state: "rolled_back", failure, lastLogs: failure.lastLogs }
}

/** The newest start of a component that failed, when nothing of it has run since. */
export const failedStartOf = (
  past: Past,
  component: string,
  container: Container | undefined
): Findings["failedStart"] => {
  const failed = past.events.findLast(
    (event) => event.component === component && event.to === "failed" && starts.has(event.kind)
  )
  if (failed === undefined || failed.at <= (past.stored?.updatedAt ?? 0)) return undefined
  if (container?.state === "running" || (container?.startedAt ?? 0) > failed.at) return undefined
  const { actor, at, message, reason } = failed
  return { component, reason, message, at, actor }
}
