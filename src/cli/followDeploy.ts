import { create } from "@bufbuild/protobuf"
import { Effect, Ref, Stream } from "effect"
import {
  type ComponentPlan,
  type DeployResponse,
  type DeployResult,
  ObservedState,
  StepProgressSchema
} from "../gen/mcp/v1/mcp_pb.ts"
import type { CallOptions } from "../grpc/channel.ts"
import type { RpcError } from "../grpc/status.ts"
import type { AgentClient, NodeConfig } from "../services/Agents.ts"
import { DeployFailed } from "../services/CliError.ts"
import { type CliFailure, nextStepOf } from "./errors.ts"
import type * as Json from "./json.ts"
import { acting, ask, isRpcError, isSilence, ofService } from "./nodes.ts"
import type { Progress } from "./progress.ts"
import { action, text } from "./rows.ts"

export interface Deployed {
  readonly view: Json.DeployService
  readonly failure: CliFailure | undefined
}

interface Seen {
  readonly deployment: string
  readonly plan: ReadonlyArray<ComponentPlan>
  readonly warnings: ReadonlyArray<string>
  readonly result: DeployResult | undefined
}

const nothing: Seen = { deployment: "", plan: [], warnings: [], result: undefined }

const remember = (seen: Seen, { event }: DeployResponse): Seen => {
  switch (event.case) {
    case "started":
      return { ...seen, deployment: event.value.deployment, plan: event.value.plan }
    case "warning": {
      const { component, message } = event.value
      return { ...seen, warnings: [...seen.warnings, component === "" ? message : `${component}: ${message}`] }
    }
    case "result":
      return { ...seen, result: event.value }
    default:
      return seen
  }
}

/** What runs after a deployment went back. */
const nowRuns = (service: string, { result }: Seen, before: string): string => {
  const after = result?.after ?? []
  if (after.length === 0) return `nothing of ${service} runs: there was no earlier version to go back to`
  const named = (all: typeof after) => all.map((c) => `${c.component} ${c.version}`).join(", ")
  const running = after.filter((c) => c.observed === ObservedState.RUNNING)
  const resting = after.filter((c) => c.observed !== ObservedState.RUNNING)
  if (running.length === 0) return `back to what was there before; nothing of ${service} runs (${named(resting)})`
  return `${before} is running again (${named(running)})${resting.length > 0 ? `; not running: ${named(resting)}` : ""}`
}

const failureOf = (service: string, node: string, seen: Seen, before: string): DeployFailed | undefined => {
  const { result } = seen
  if (result === undefined) return lost(service, node, "the agent ended the call without a result")
  if (result.state !== "rolled_back") return undefined
  const f = result.failure
  return new DeployFailed({
    service,
    node,
    component: f?.component ?? "",
    reason: f?.reason ?? "",
    why: f?.message || "it was rolled back",
    nextStep: f?.nextStep ?? "",
    lastLogs: f?.lastLogs ?? [],
    now: nowRuns(service, seen, before)
  })
}

/** The caller's going away changes nothing for the agent. */
const lost = (service: string, node: string, why: string) =>
  new DeployFailed({
    service,
    node,
    component: "",
    reason: "RESULT_UNKNOWN",
    why,
    nextStep: `mcp status ${service}`,
    lastLogs: [],
    now: `not known: ${node} goes on with the deployment by itself`
  })

const failureView = (error: CliFailure): Json.DeployService["failure"] => {
  if (error._tag === "DeployFailed") {
    const { component, lastLogs, nextStep, reason, why } = error
    return { component: text(component), reason, message: why, next_step: text(nextStep), last_logs: lastLogs }
  }
  const none = { component: null, last_logs: [] }
  return isRpcError(error)
    ? { ...none, reason: error.reason, message: error.detail, next_step: nextStepOf(error) ?? null }
    : { ...none, reason: error._tag, message: error.message, next_step: null }
}

const stateOf = ({ result }: Seen): Json.DeployService["state"] => {
  const state = result?.state
  if (state === undefined) return "failed"
  return state === "rolled_back" || state === "starting" || state === "pinned" ? state : "succeeded"
}

export interface Followed {
  readonly service: string
  readonly node: NodeConfig
  readonly call: (client: AgentClient, options: CallOptions) => Stream.Stream<DeployResponse, RpcError>
  /** What runs again when it goes back. */
  readonly before: string
  /** It may wait until another act is over. */
  readonly waits: boolean
}

/** A warning ahead of the start may be what it waits for, which nobody wants to read only afterwards. */
const asWait = (response: DeployResponse): DeployResponse => {
  const { event } = response
  if (event.case !== "warning") return response
  const value = create(StepProgressSchema, { step: "wait", state: "running", message: event.value.message })
  return { ...response, event: { case: "step", value } }
}

/** Follows a deployment to its end and tells the progress; a failure is part of what it returns, since others go on. */
export const follow = ({ before, call, node, service, waits }: Followed, progress: Progress) =>
  Effect.gen(function* () {
    const options = yield* acting
    const state = yield* Ref.make(nothing)
    const failed = yield* ask(node, (client) =>
      Stream.runForEach(call(client, options), (event) =>
        Effect.flatMap(
          Ref.updateAndGet(state, (seen) => remember(seen, event)),
          (seen) => progress.on(service, waits && seen.deployment === "" ? asWait(event) : event)
        )
      )
    ).pipe(
      Effect.mapError(ofService(service)),
      Effect.match({ onFailure: (error): CliFailure | undefined => error, onSuccess: () => undefined })
    )
    const seen = yield* Ref.get(state)
    const broken = failed !== undefined && isRpcError(failed) && isSilence(failed) && seen.deployment !== ""
    const failure = broken
      ? lost(service, node.name, failed.detail)
      : (failed ?? failureOf(service, node.name, seen, before))
    const view: Json.DeployService = {
      service,
      node: node.name,
      deployment: text(seen.result?.deployment || seen.deployment),
      state: stateOf(seen),
      duration_ms: Number(seen.result?.durationMs ?? 0),
      components: (seen.result?.components ?? []).map((c) => ({
        component: c.component,
        action: action(c.action),
        from_image: text(c.fromImage),
        to_image: text(c.toImage),
        duration_ms: Number(c.durationMs),
        container_id: text(c.containerId),
        steps: c.steps.map(({ durationMs, step }) => ({ step, duration_ms: Number(durationMs) }))
      })),
      warnings: seen.warnings,
      failure: failure === undefined ? null : failureView(failure)
    }
    return { view, failure } satisfies Deployed
  })
