import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt"
import * as State from "../domain/State.ts"
import {
  Action,
  type ComponentInfo,
  type ComponentPlan,
  type ComponentStats,
  type DeploymentInfo,
  DesiredState,
  type Event,
  type LiveComponent,
  ObservedState,
  type PurgedEntry,
  type ServiceStatus,
  type ServiceSynced,
  type UnmanagedContainer
} from "../gen/mcp/v1/mcp_pb.ts"
import type { RpcError } from "../grpc/status.ts"
import type { Style } from "./ansi.ts"
import type * as Json from "./json.ts"
import type { Cell } from "./table.ts"
import { uptime } from "./time.ts"

/* From messages to the rows that tables and JSON are made of. */

const word = <A extends string>(names: Record<number, string>, values: ReadonlyArray<A>, number: number, none: A): A =>
  values.find((value) => value === names[number]?.toLowerCase()) ?? none

export const desired = (state: DesiredState) => word(DesiredState, State.DesiredState.literals, state, "ignore")
export const observed = (state: ObservedState) => word(ObservedState, State.ObservedState.literals, state, "unknown")
export const action = (value: Action) => word(Action, State.Action.literals, value, "unchanged")

export const date = (time: Timestamp | undefined): Date | null => (time === undefined ? null : timestampDate(time))
export const event = (event: Event, node: string): Json.Event => ({
  id: Number(event.id),
  at: date(event.at),
  node,
  service: event.service,
  component: text(event.component),
  kind: event.kind,
  from: text(event.from),
  to: event.to,
  message: text(event.message),
  reason: text(event.reason),
  actor: text(event.actor)
})

export const text = (value: string): string | null => (value === "" ? null : value)

export const planned = (c: ComponentPlan): Json.PlanComponent => ({
  component: c.component,
  action: action(c.action),
  from_image: text(c.fromImage),
  to_image: text(c.toImage),
  why: text(c.why),
  changes: c.changes.map(({ field, from, to }) => ({ field, from, to }))
})

const outcomes = ["deployed", "started", "stopped", "unchanged", "pinned", "busy", "failed"] as const

export const synced = (s: ServiceSynced, node: string): Json.SyncService => ({
  service: s.service,
  node,
  // An agent that is newer than this program may know more; what it says of it is shown.
  outcome: outcomes.find((outcome) => outcome === s.outcome) ?? "failed",
  deployment: text(s.deployment),
  components: s.plan.map(planned),
  warnings: s.warnings,
  failure:
    s.reason === ""
      ? null
      : {
          ...{ reason: s.reason, message: s.message, next_step: text(s.nextStep) },
          ...{ component: text(s.component), last_logs: s.lastLogs }
        }
})

export const unmanaged = (c: UnmanagedContainer, node: string): Json.Unmanaged => ({
  container: c.container,
  container_id: c.containerId,
  node,
  service: c.service,
  component: c.component,
  image: c.image,
  observed: observed(c.observed)
})

export const purgedEntry = (e: PurgedEntry, node: string): Json.PurgedEntry => ({
  service: e.service,
  component: text(e.component),
  node,
  observed: observed(e.observed),
  purged: e.purged,
  removed_container: text(e.removedContainer),
  why: text(e.why),
  next_step: text(e.nextStep)
})

const up = (state: State.ObservedState) => state === "running" || state === "unhealthy"

const since = (state: State.ObservedState, started: Date | null, now: Date) =>
  started !== null && up(state) ? Math.max(0, now.getTime() - started.getTime()) : null

export const running = (c: LiveComponent, node: string, now: Date): Json.Running => {
  const state = observed(c.observed)
  const started_at = date(c.startedAt)
  return {
    service: c.service,
    component: c.component,
    node,
    container: c.container,
    container_id: text(c.containerId),
    desired: desired(c.desired),
    state,
    health: text(c.health),
    exit_code: c.exitCode ?? null,
    image: c.image,
    version: c.version,
    started_at,
    uptime_ms: since(state, started_at, now),
    restarts: c.restarts,
    restart_at: date(c.restartAt),
    ports: c.ports
  }
}

const component = (c: ComponentInfo) => ({
  component: c.name,
  container: c.container,
  desired: desired(c.desired),
  observed: observed(c.observed),
  observed_at: date(c.observedAt),
  image: c.image,
  version: c.version,
  generation: Number(c.generation)
})

export const deployment = (d: DeploymentInfo) => ({
  deployment: d.id,
  state: d.state,
  actor: d.actor,
  started_at: date(d.startedAt),
  finished_at: date(d.finishedAt),
  error: text(d.error)
})

export const listed = (c: ComponentInfo, service: string, node: string): Json.Listed => ({
  service,
  node,
  ...component(c)
})

export const status = (
  { deployments, events, info, live }: ServiceStatus,
  node: string,
  now: Date
): Json.StatusService => {
  const components = (info?.components ?? []).map((c): Json.StatusComponent => {
    const seen = live.find((l) => l.component === c.name)
    const base = { ...component(c), observed: observed(seen?.observed ?? c.observed) }
    const started_at = date(seen?.startedAt)
    return {
      ...base,
      running_version: text(seen?.version ?? ""),
      health: text(seen?.health ?? ""),
      exit_code: seen?.exitCode ?? null,
      started_at,
      uptime_ms: since(base.observed, started_at, now),
      restarts: seen?.restarts ?? 0,
      restart_at: date(seen?.restartAt),
      ports: seen?.ports ?? [],
      podman_restart: text(seen?.podmanRestart ?? ""),
      drift: seen?.drift ?? [],
      silenced_until: date(seen?.silencedUntil)
    }
  })
  return {
    service: info?.name ?? "",
    node,
    desired: desired(info?.desired ?? DesiredState.UNSPECIFIED),
    comment: text(info?.comment ?? ""),
    drift: components.some((c) => c.drift.length > 0),
    components: components.sort((a, b) => compare(a.component, b.component)),
    deployments: deployments.map(deployment),
    events: events.map((one) => event(one, node))
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/** By service, component, node. */
export const sorted = <A extends { readonly service: string; readonly component: string; readonly node: string }>(
  rows: ReadonlyArray<A>
): ReadonlyArray<A> =>
  [...rows].sort(
    (a, b) => compare(a.service, b.service) || compare(a.component, b.component) || compare(a.node, b.node)
  )

export const unreachable = ({
  error,
  node
}: {
  readonly node: { readonly name: string }
  readonly error: RpcError
}) => ({
  node: node.name,
  reason: error.reason,
  message: error.detail
})

/** How long until the agent restarts it; null when it does not, or is about to. */
export const restartsIn = (at: Date | null, now: Date): number | null =>
  at !== null && at > now ? Math.ceil((at.getTime() - now.getTime()) / 1000) * 1000 : null

const styles: Record<State.ObservedState, Style | undefined> = {
  running: "green",
  stopped: "dim",
  exited: "red",
  unhealthy: "red",
  removed: "red",
  unknown: "yellow"
}

/** An observed state as a cell; what is stopped on purpose is no reason for alarm. */
export const stateCell = (
  state: State.ObservedState,
  more: {
    readonly desired?: State.DesiredState
    readonly exitCode?: number | null
    readonly health?: string | null
    readonly restartsIn?: number | null
  } = {}
): Cell => ({
  text:
    state === "exited"
      ? `exited${more.exitCode == null ? "" : ` (${more.exitCode})`}${more.restartsIn == null ? "" : `, restarts in ${uptime(more.restartsIn)}`}`
      : state === "running" && more.health === "starting"
        ? "running (starting)"
        : state,
  style: more.desired === "stopped" && !up(state) ? "dim" : styles[state]
})

export const used = (c: ComponentStats, node: string): Json.Used => {
  const number = (value: bigint | number) => (c.containerId === "" ? null : Number(value))
  return {
    service: c.service,
    component: c.component,
    node,
    desired: desired(c.desired),
    state: observed(c.observed),
    container_id: text(c.containerId),
    cpu_percent: number(Math.round(c.cpuPercent * 100) / 100),
    memory_bytes: number(c.memoryBytes),
    memory_limit_bytes: number(c.memoryLimitBytes),
    network_in_bytes: number(c.networkInBytes),
    network_out_bytes: number(c.networkOutBytes),
    block_in_bytes: number(c.blockInBytes),
    block_out_bytes: number(c.blockOutBytes),
    pids: number(c.pids)
  }
}
