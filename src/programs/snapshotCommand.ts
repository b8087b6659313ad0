import { Effect, Stream } from "effect"
import { exec, execTarget } from "./exec.ts"
import { SnapshotCommandFailed } from "./ProgramError.ts"

const shownLines = 5
const mostBytes = 4_096

const lastOf = (written: Buffer) =>
  written
    .toString("utf8")
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .slice(-shownLines)

/**
 * Runs the command of a definition's [snapshot] in its component, until it ends with 0 or the caller goes away: then it is
 * ended, too.
 */
export const runCommand = (service: string, component: string, argv: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const failed = (why: string, lines: ReadonlyArray<string> = []) =>
      new SnapshotCommandFailed({ service, component, why, lines })
    const { container } = yield* execTarget(service, component).pipe(
      Effect.catchTag("ComponentNotRunning", (error) => failed(`cannot run: ${error.message}`))
    )
    let written: Buffer = Buffer.alloc(0)
    let exitCode: number | undefined
    const command = { argv, env: [], terminal: undefined, stdin: false }
    yield* Stream.runForEach(exec(container, command, Stream.never), (output) =>
      Effect.sync(() => {
        if (output._tag === "Bytes") written = Buffer.concat([written, output.bytes]).subarray(-mostBytes)
        if (output._tag === "Exit") exitCode = output.exitCode
      })
    ).pipe(
      Effect.catchTags({
        CommandNotRun: (error) => failed(`cannot be run: ${error.message}`),
        CommandCutOff: (error) => failed(`was cut off: ${error.message}`, lastOf(written)),
        ContainerNotFound: () => failed("cannot run: its container is gone")
      })
    )
    if (exitCode !== 0) return yield* failed(`ended with exit code ${exitCode ?? "unknown"}`, lastOf(written))
  })
