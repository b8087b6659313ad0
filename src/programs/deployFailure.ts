import { Effect } from "effect"
import { containerName } from "../domain/Names.ts"
import type { DeployFailure } from "./DeployEvent.ts"
import { explain, type ProgramError } from "./explain.ts"
import { linesOfEnded } from "./lastLines.ts"

/** A component's own failure; which component it was is said by the step that failed. */
export class ComponentFailed {
  readonly _tag = "ComponentFailed"
  constructor(
    readonly service: string,
    readonly component: string,
    readonly error: ProgramError
  ) {}
  get message() {
    return this.error.message
  }
}

/** What the operator is told, with the failed container's last lines, read before it is removed. */
export const failureOf = (
  failed: ComponentFailed | ProgramError,
  hints: ReadonlyArray<{ readonly component: string; readonly hint: string }>
) =>
  Effect.gen(function* () {
    const error = failed._tag === "ComponentFailed" ? failed.error : failed
    const { nextStep, reason } = explain(error)
    const hint =
      failed._tag === "ComponentFailed" && error._tag === "NotReady" && error.reason.startsWith("exited_")
        ? hints.find(({ component }) => component === failed.component)?.hint
        : undefined
    const lastLogs =
      failed._tag === "ComponentFailed"
        ? (yield* linesOfEnded(containerName(failed.service, failed.component))).map(({ line }) => line)
        : []
    return {
      component: failed._tag === "ComponentFailed" ? failed.component : "",
      reason,
      message: error.message,
      nextStep: hint ?? nextStep,
      lastLogs
    } satisfies DeployFailure
  })
