import { Command, ValidationError } from "@effect/cli"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Console, Effect, Exit, Logger } from "effect"
import { root } from "../mcias/commands.ts"

declare const MCP_VERSION: string | undefined
const version = typeof MCP_VERSION === "string" ? MCP_VERSION : "0.1.0"

/** A failure already told to the user; what is left of it is the exit code. */
class Told {
  constructor(readonly exitCode: number) {}
}

const report = (cause: Cause.Cause<unknown>) =>
  Effect.gen(function* () {
    if (Cause.isInterruptedOnly(cause)) return yield* Effect.interrupt
    const error = Cause.squash(cause)
    // @effect/cli has printed these itself.
    if (ValidationError.isValidationError(error)) return yield* Effect.fail(new Told(2))
    const text = error instanceof Error ? error.message : String(error)
    yield* Console.error(`mcp-mcias: ${text}`)
    if (process.env.MCP_DEBUG === "1") yield* Console.error(Cause.pretty(cause))
    const usage = error instanceof Error && "_tag" in error && error._tag === "WrongUsage"
    return yield* Effect.fail(new Told(usage ? 2 : 1))
  })

const program = Command.run(root, { name: "mcp-mcias", version, executable: "mcp-mcias" })(process.argv).pipe(
  Effect.catchAllCause(report),
  Effect.provide(NodeContext.layer),
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.jsonLogger)))
)

const exitCodeOf = (exit: Exit.Exit<unknown, Told>): number => {
  if (Exit.isSuccess(exit)) return 0
  // A server that is told to stop has done what it should.
  if (Cause.isInterruptedOnly(exit.cause)) return process.argv[2] === "serve" ? 0 : 130
  const error = Cause.squash(exit.cause)
  return error instanceof Told ? error.exitCode : 1
}

NodeRuntime.runMain(program, {
  disableErrorReporting: true,
  disablePrettyLogger: true,
  // Without process.exit, which would cut off what a pipe has not taken yet.
  teardown: (exit) => {
    process.exitCode = exitCodeOf(exit as Exit.Exit<unknown, Told>)
  }
})
