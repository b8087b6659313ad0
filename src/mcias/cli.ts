import { Command, ValidationError } from "@effect/cli"
import { Cause, Console, Effect, Exit } from "effect"
import { root } from "./commands.ts"

/** A failure already told to the user; what is left of it is the exit code. */
export class Told {
  constructor(readonly exitCode: number) {}
}

const report = (cause: Cause.Cause<unknown>) =>
  Effect.gen(function* () {
    if (Cause.isInterruptedOnly(cause)) return yield* Effect.interrupt
    const error = Cause.squash(cause)
    // @effect/cli has printed these itself.
    if (ValidationError.isValidationError(error)) return yield* Effect.fail(new Told(2))
    yield* Console.error(`mcp-mcias: ${error instanceof Error ? error.message : String(error)}`)
    if (process.env.MCP_DEBUG === "1") yield* Console.error(Cause.pretty(cause))
    const usage = error instanceof Error && "_tag" in error && error._tag === "WrongUsage"
    return yield* Effect.fail(new Told(usage ? 2 : 1))
  })

const command = Command.run(root, {
  name: "mcp-mcias",
  version: "0.1.0",
  executable: "mcp-mcias"
})

/** The whole program, given all of `process.argv`: each failure becomes one line on standard error and an exit code. */
export const run = (argv: ReadonlyArray<string>) => Effect.catchAllCause(command(argv), report)

export const exitCodeOf = (argv: ReadonlyArray<string>, exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  // A server that is told to stop has done what it should.
  if (Cause.isInterruptedOnly(exit.cause)) return argv[2] === "serve" ? 0 : 130
  const error = Cause.squash(exit.cause)
  return error instanceof Told ? error.exitCode : 1
}
