import type { Effect } from "effect"
import type { ComponentPlan } from "../domain/Plan.ts"
import type { Action } from "../domain/State.ts"
import type { Live } from "./report.ts"

export interface DeployFailure {
  /** Empty when the whole service failed. */
  readonly component: string
  readonly reason: string
  readonly message: string
  readonly nextStep: string
  readonly lastLogs: ReadonlyArray<string>
}

export interface StepTime {
  readonly step: string
  readonly durationMs: number
}

export interface ComponentResult {
  readonly component: string
  readonly action: Action
  readonly fromImage: string | undefined
  readonly toImage: string | undefined
  /** In the order in which they ended. */
  readonly steps: ReadonlyArray<StepTime>
  readonly containerId: string | undefined
}

export interface DeployResult {
  /** Empty when there was nothing to do. */
  readonly deployment: string
  /** `starting` in the early answer to a caller that does not wait; `pinned`: skipped, since it was rolled back from. */
  readonly state: "starting" | "succeeded" | "rolled_back" | "pinned"
  readonly components: ReadonlyArray<ComponentResult>
  readonly durationMs: number
  readonly failure: DeployFailure | undefined
  /** Once it went back: what there is of the service now. */
  readonly after: ReadonlyArray<Live>
}

/** What a deployment tells while it goes on. */
export type DeployEvent =
  | { readonly _tag: "Started"; readonly deployment: string; readonly plan: ReadonlyArray<ComponentPlan> }
  | {
      readonly _tag: "Step"
      readonly component: string
      readonly step: string
      readonly state: "running" | "done" | "failed" | "retrying"
      readonly message: string
      readonly durationMs: number
    }
  | { readonly _tag: "Pull"; readonly component: string; readonly image: string; readonly message: string }
  | { readonly _tag: "Warning"; readonly component: string; readonly message: string }
  | { readonly _tag: "Result"; readonly result: DeployResult }

export type Emit = (event: DeployEvent) => Effect.Effect<void>
