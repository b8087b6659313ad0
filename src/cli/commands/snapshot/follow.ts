import { create } from "@bufbuild/protobuf"
import { Clock, Effect, Ref, Stream } from "effect"
import {
  DeployResponseSchema,
  type RestoreSnapshotResponse,
  type RestoreSnapshotResult,
  type StepProgress,
  StepProgressSchema
} from "../../../gen/mcp/v1/mcp_pb.ts"
import type { NodeConfig } from "../../../services/Agents.ts"
import { DeployFailed } from "../../../services/CliError.ts"
import type { CliFailure } from "../../errors.ts"
import type * as Json from "../../json.ts"
import { tellIfLeft } from "../../leaving.ts"
import { acting, ask, isRpcError, isSilence, ofService } from "../../nodes.ts"
import { names } from "../../overview.ts"
import * as Progress from "../../progress.ts"
import { text } from "../../rows.ts"
import { progressLine } from "../../transfer.ts"

/* A restore's steps as they happen, shown as those of a deployment are. */

const running = (step: string, message: string) => create(StepProgressSchema, { step, state: "running", message })

/** What is shown of it, if anything. */
const stepOf = ({ event }: RestoreSnapshotResponse, start: number, now: number): StepProgress | undefined => {
  switch (event.case) {
    case "waiting":
      return running("wait", event.value)
    case "progress": {
      const { bytes, files, totalBytes, totalFiles } = event.value
      const total = { files: Number(totalFiles), bytes: Number(totalBytes) }
      const seen = { start, files: Number(files), bytes: Number(bytes), total, resumed: 0, current: undefined }
      return running("stage", progressLine(seen, now))
    }
    case "step":
      return event.value
    default:
      return undefined
  }
}

/** Once all is verified the node goes on by itself. */
const mayHaveBegun = ({ state, step }: StepProgress) => step !== "stage" || state === "done"

const failureOf = (service: string, node: string, result: RestoreSnapshotResult) => {
  const { failure, started } = result
  const again = started.length === 0 ? "" : `, and ${names(started)} started again on it`
  return new DeployFailed({
    ...{ service, node, component: failure?.component ?? "", reason: failure?.reason ?? "" },
    why: failure?.message || "it was rolled back",
    nextStep: failure?.nextStep ?? "",
    lastLogs: failure?.lastLogs ?? [],
    now: `the data is as it was before the restore${again}`
  })
}

const lost = (service: string, node: string, why: string) =>
  new DeployFailed({
    ...{ service, node, component: "", reason: "RESULT_UNKNOWN", why, lastLogs: [] },
    nextStep: `mcp events ${service}; mcp status ${service}`,
    now: `not known: what has begun on ${node} goes on by itself`
  })

const viewOf = (error: CliFailure): (typeof Json.SnapshotRestored.Type)["failure"] => {
  if (error._tag === "DeployFailed") {
    const { component, lastLogs, nextStep, reason, why } = error
    return { component: text(component), reason, message: why, next_step: text(nextStep), last_logs: lastLogs }
  }
  const none = { component: null, last_logs: [], next_step: null }
  return { ...none, reason: isRpcError(error) ? error.reason : error._tag, message: error.message }
}

export const followRestore = (node: NodeConfig, service: string, snapshot: Json.Snapshot, wait: boolean) =>
  Effect.gen(function* () {
    const options = yield* acting
    const result = yield* Ref.make<RestoreSnapshotResult | undefined>(undefined)
    const touched = yield* Ref.make(false)
    const request = { service, snapshot: snapshot.id, waitForLock: wait }
    const start = yield* Clock.currentTimeMillis
    const failed = yield* ask(node, (client) =>
      Effect.gen(function* () {
        const progress = yield* Progress.make(false)
        yield* Stream.runForEach(client.restoreSnapshot(request, options), (response) =>
          Effect.gen(function* () {
            const { event } = response
            if (event.case === "result") yield* Ref.set(result, event.value)
            if (event.case === "step" && mayHaveBegun(event.value)) yield* Ref.set(touched, true)
            const value = stepOf(response, start, yield* Clock.currentTimeMillis)
            if (value === undefined) return
            yield* progress.on(service, create(DeployResponseSchema, { event: { case: "step", value } }))
          })
        )
      })
    ).pipe(
      tellIfLeft("snapshot restore", [{ service, node }], Ref.get(touched)),
      Effect.mapError(ofService(service)),
      Effect.match({ onFailure: (error): CliFailure | undefined => error, onSuccess: () => undefined })
    )
    const done = yield* Ref.get(result)
    const broken = failed !== undefined && isRpcError(failed) && isSilence(failed) && (yield* Ref.get(touched))
    const failure = broken
      ? lost(service, node.name, failed.detail)
      : (failed ??
        (done === undefined
          ? lost(service, node.name, "the agent ended the call without a result")
          : done.state === "succeeded"
            ? undefined
            : failureOf(service, node.name, done)))
    const state: (typeof Json.SnapshotRestored.Type)["state"] =
      done?.state === "succeeded" || done?.state === "rolled_back" ? done.state : "failed"
    const view = {
      ...{ service, node: node.name, snapshot, state, started: done?.started ?? [] },
      duration_ms: Number(done?.durationMs ?? 0),
      failure: failure === undefined ? null : viewOf(failure)
    }
    return { view, failure }
  })
