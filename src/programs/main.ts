import { ValidationError } from "@effect/cli"
import { Cause, Console, Effect, Exit } from "effect"

/** A failure already told to the user; what is left of it is the exit code. */
export class Told {
  constructor(readonly exitCode: number) {}
}

/** Mistakes in what the user wrote: nothing was done, exit code 2. */
const usage: ReadonlySet<unknown> = new Set(["WrongUsage", "ConfigInvalid", "ConfigUnreadable"])

/** Turns each failure of a program into one message on standard error, and into an exit code. */
export const reported = <A, E, R>(program: string, run: Effect.Effect<A, E, R>) =>
  Effect.catchAllCause(run, (cause) =>
    Effect.gen(function* () {
      if (Cause.isInterruptedOnly(cause)) return yield* Effect.interrupt
      const error = Cause.squash(cause)
      if (error instanceof Told) return yield* Effect.fail(error)
      // @effect/cli has printed these itself.
      if (ValidationError.isValidationError(error)) return yield* Effect.fail(new Told(2))
      yield* Console.error(`${program}: ${error instanceof Error ? error.message : String(error)}`)
      if (process.env.MCP_DEBUG === "1") yield* Console.error(Cause.pretty(cause))
      const tag = error instanceof Error && "_tag" in error ? error._tag : undefined
      return yield* Effect.fail(new Told(usage.has(tag) ? 2 : 1))
    })
  )

/** `interrupted` is what a signal means to this program: 0 for a daemon, 130 for a command. */
export const exitCodeOf = (exit: Exit.Exit<unknown, unknown>, interrupted: number): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.isInterruptedOnly(exit.cause)) return interrupted
  const error = Cause.squash(exit.cause)
  return error instanceof Told ? error.exitCode : 1
}
