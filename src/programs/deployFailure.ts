import { Chunk, Effect, Schedule, Stream } from "effect"
import { containerName } from "../domain/Names.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import type { DeployFailure } from "./DeployEvent.ts"
import { explain, type ProgramError } from "./explain.ts"

/** Log lines of a failed container that the operator is shown. */
const shownLines = 20

/** The last lines of a container; none when they cannot be read, since that must not hide the failure itself. */
export const lastLines = (container: string) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const lines = yield* Stream.runCollect(
      runtime.logs(container, { follow: false, tail: shownLines, since: undefined })
    )
    return Chunk.toReadonlyArray(lines).map((line) => line.line)
  }).pipe(
    // What a program wrote last may come a moment after its end.
    Effect.filterOrFail(
      (lines) => lines.some((line) => line.trim() !== ""),
      () => "nothing yet" as const
    ),
    Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 3, while: (error) => error === "nothing yet" }),
    Effect.timeout("5 seconds"),
    Effect.orElseSucceed((): ReadonlyArray<string> => [])
  )

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
      failed._tag === "ComponentFailed" ? yield* lastLines(containerName(failed.service, failed.component)) : []
    return {
      component: failed._tag === "ComponentFailed" ? failed.component : "",
      reason,
      message: error.message,
      nextStep: hint ?? nextStep,
      lastLogs
    } satisfies DeployFailure
  })
