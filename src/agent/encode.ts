import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { timestampFromMs } from "@bufbuild/protobuf/wkt"
import { Either } from "effect"
import type { ComponentPlan } from "../domain/Plan.ts"
import type * as S from "../domain/State.ts"
import {
  Action,
  type AdoptedComponentSchema,
  type ComponentOutcomeSchema,
  type ComponentPlanSchema,
  type DeploymentInfoSchema,
  DeployResponseSchema,
  type DeployResultSchema,
  DesiredState,
  type EventSchema,
  type LiveComponentSchema,
  type LogsResponseSchema,
  type NodeStatusResponseSchema,
  ObservedState,
  type RollbackTargetSchema,
  type ServiceInfoSchema,
  type ServiceStatusSchema,
  type StatsResponseSchema
} from "../gen/mcp/v1/mcp_pb.ts"
import type { Adopted } from "../programs/adopt.ts"
import type { DeployEvent, DeployResult } from "../programs/DeployEvent.ts"
import type { PastDeployment } from "../programs/history.ts"
import type { NodeStatus } from "../programs/nodeStatus.ts"
import type { Outcome } from "../programs/oneComponent.ts"
import type { Live, Status } from "../programs/report.ts"
import type { RollbackTarget } from "../programs/rollback.ts"
import type { Look } from "../programs/stats.ts"
import type { LogLine } from "../services/ContainerRuntime.ts"
import type { DeploymentRow, EventRow } from "../services/Registry.ts"

const actions: Record<S.Action, Action> = {
  create: Action.CREATE,
  replace: Action.REPLACE,
  start: Action.START,
  unchanged: Action.UNCHANGED,
  orphan: Action.ORPHAN,
  stop: Action.STOP
}
const desiredStates: Record<S.DesiredState, DesiredState> = {
  running: DesiredState.RUNNING,
  stopped: DesiredState.STOPPED,
  ignore: DesiredState.IGNORE
}
export const observedStates: Record<S.ObservedState, ObservedState> = {
  running: ObservedState.RUNNING,
  stopped: ObservedState.STOPPED,
  exited: ObservedState.EXITED,
  unhealthy: ObservedState.UNHEALTHY,
  removed: ObservedState.REMOVED,
  unknown: ObservedState.UNKNOWN
}

/** An absent field stays absent on the wire. */
const some = <K extends string, A, B>(key: K, value: A | undefined, encode: (value: A) => B) =>
  (value === undefined ? {} : { [key]: encode(value) }) as { [P in K]?: B }
const same = <A>(value: A) => value

export const componentPlan = (plan: ComponentPlan): MessageInitShape<typeof ComponentPlanSchema> => ({
  component: plan.component,
  action: actions[plan.action],
  fromImage: plan.fromImage ?? "",
  toImage: plan.toImage ?? "",
  changes: plan.changes.map((change) => ({ field: change.field, from: change.from ?? "", to: change.to ?? "" })),
  why: plan.why
})

const deployResult = (result: DeployResult): MessageInitShape<typeof DeployResultSchema> => ({
  deployment: result.deployment,
  state: result.state,
  durationMs: BigInt(result.durationMs),
  after: result.after.map(liveComponent),
  components: result.components.map((component) => ({
    component: component.component,
    action: actions[component.action],
    fromImage: component.fromImage ?? "",
    toImage: component.toImage ?? "",
    durationMs: BigInt(component.steps.reduce((sum, { durationMs }) => sum + durationMs, 0)),
    containerId: component.containerId ?? "",
    steps: component.steps.map(({ durationMs, step }) => ({ step, durationMs: BigInt(durationMs) }))
  })),
  ...some("failure", result.failure, ({ lastLogs, ...failure }) => ({ ...failure, lastLogs: [...lastLogs] }))
})

export const deployEvent = (event: DeployEvent) => {
  const of = (init: MessageInitShape<typeof DeployResponseSchema>["event"]) =>
    create(DeployResponseSchema, init === undefined ? {} : { event: init })
  switch (event._tag) {
    case "Started":
      return of({ case: "started", value: { deployment: event.deployment, plan: event.plan.map(componentPlan) } })
    case "Step": {
      const { component, step, state, message, durationMs } = event
      return of({ case: "step", value: { component, step, state, message, durationMs: BigInt(durationMs) } })
    }
    case "Pull":
      return of({ case: "pull", value: { component: event.component, image: event.image, message: event.message } })
    case "Warning":
      return of({ case: "warning", value: { component: event.component, message: event.message } })
    case "Result":
      return of({ case: "result", value: deployResult(event.result) })
  }
}

export const outcome = (outcome: Outcome): MessageInitShape<typeof ComponentOutcomeSchema> => ({
  component: outcome.component,
  changed: outcome.changed,
  observed: observedStates[outcome.observed]
})

export const adopted = (adopted: Adopted): MessageInitShape<typeof AdoptedComponentSchema> => ({
  ...adopted,
  observed: observedStates[adopted.observed],
  missingSecrets: [...adopted.missingSecrets]
})

export const liveComponent = (live: Live): MessageInitShape<typeof LiveComponentSchema> => ({
  service: live.service,
  component: live.component,
  container: live.container,
  containerId: live.containerId ?? "",
  desired: desiredStates[live.desired],
  observed: observedStates[live.observed],
  image: live.image,
  version: live.version,
  ports: [...live.ports],
  drift: [...live.drift],
  restarts: live.restarts,
  health: live.health ?? "",
  podmanRestart: live.podmanRestart ?? "",
  ...some("restartAt", live.restartAt, timestampFromMs),
  ...some("silencedUntil", live.silencedUntil, timestampFromMs),
  ...some("startedAt", live.startedAt, timestampFromMs),
  ...some("exitCode", live.exitCode, same)
})

export const serviceInfo = (status: Status, node: string): MessageInitShape<typeof ServiceInfoSchema> => ({
  name: status.row.service,
  desired: desiredStates[status.row.desired],
  comment: status.row.spec.comment ?? "",
  node,
  components: status.components.map((component) => ({
    name: component.component,
    container: component.container,
    desired: desiredStates[component.desired],
    observed: observedStates[component.observed],
    image: component.image,
    version: component.version,
    generation: BigInt(component.generation),
    observedAt: timestampFromMs(component.observedAt)
  }))
})

export const serviceStatus = (status: Status, node: string): MessageInitShape<typeof ServiceStatusSchema> => ({
  info: serviceInfo(status, node),
  live: status.components.map(liveComponent),
  deployments: status.deployments.map((row) => deploymentOf(row)),
  events: status.events.map(event)
})

/** What a deployment's row alone says of it. */
const deploymentOf = (row: DeploymentRow) => ({
  id: row.id,
  state: row.state,
  actor: row.actor,
  error: row.failure?.message ?? "",
  startedAt: timestampFromMs(row.startedAt),
  ...some("finishedAt", row.finishedAt, timestampFromMs),
  kind: row.kind,
  rollbackTo: row.rollbackTo ?? "",
  reason: row.failure?.reason ?? "",
  component: row.failure?.component ?? "",
  lastLogs: [...(row.failure?.lastLogs ?? [])],
  lastError: row.lastError ?? ""
})

export const deploymentInfo = (past: PastDeployment): MessageInitShape<typeof DeploymentInfoSchema> => ({
  ...deploymentOf(past.row),
  changes: past.changes.map((change) => ({
    component: change.component,
    action: actions[change.action],
    fromImage: change.fromImage ?? "",
    toImage: change.toImage ?? ""
  })),
  current: past.current,
  imagesKept: past.imagesKept,
  pinned: past.pinned
})

export const event = (row: EventRow): MessageInitShape<typeof EventSchema> => ({
  ...row,
  id: BigInt(row.id),
  at: timestampFromMs(row.at)
})

export const nodeStatus = (status: NodeStatus): MessageInitShape<typeof NodeStatusResponseSchema> => ({
  node: status.node.node,
  version: status.node.version,
  arch: status.node.arch,
  role: "",
  services: status.services,
  containersRunning: Either.match(status.runtime, { onLeft: () => 0, onRight: ({ running }) => running }),
  runtime: Either.match(status.runtime, {
    onLeft: ({ message }) => ({ available: false, error: message }),
    onRight: ({ version }) => ({ available: true, version })
  }),
  startedAt: timestampFromMs(status.node.startedAt),
  cpus: status.cpus,
  memoryTotalBytes: BigInt(status.memory.totalBytes),
  memoryUsedBytes: BigInt(status.memory.usedBytes),
  diskTotalBytes: BigInt(status.disk.totalBytes),
  diskUsedBytes: BigInt(status.disk.totalBytes - status.disk.freeBytes)
})

export const logLine = (
  line: LogLine & { readonly component: string }
): MessageInitShape<typeof LogsResponseSchema> => ({
  component: line.component,
  stream: line.stream,
  line: line.line,
  ...some("at", line.at, timestampFromMs)
})

export const rollbackTarget = (target: RollbackTarget): MessageInitShape<typeof RollbackTargetSchema> => ({
  deployment: target.deployment,
  onlyImages: target.onlyImages,
  images: target.images.map((change) => ({ ...change }))
})

const bytes = (count: number) => BigInt(Math.round(count))

export const stats = ({ at, components }: Look): MessageInitShape<typeof StatsResponseSchema> => ({
  at: timestampFromMs(at),
  components: components.map(({ cpuPercent, live, use }) => ({
    service: live.service,
    component: live.component,
    desired: desiredStates[live.desired],
    observed: observedStates[live.observed],
    ...(use === undefined
      ? {}
      : {
          containerId: use.containerId,
          cpuPercent,
          memoryBytes: bytes(use.memoryBytes),
          memoryLimitBytes: bytes(use.memoryLimitBytes),
          networkInBytes: bytes(use.networkInBytes),
          networkOutBytes: bytes(use.networkOutBytes),
          blockInBytes: bytes(use.blockInBytes),
          blockOutBytes: bytes(use.blockOutBytes),
          pids: use.pids
        })
  }))
})
