import { ValidationError } from "@effect/cli"
import { Cause, Console, Effect, Exit } from "effect"

/** A failure already told to the user; what is left of it is the exit code. */
export class Told {
  constructor(readonly exitCode: number) {}
}

/** Mistakes in what the user wrote: nothing was done, exit code 2. */
const usage: ReadonlySet<unknown> = new Set(["WrongUsage", "ConfigInvalid", "ConfigUnreadable"])

/** The tagged errors among `E`, those of the command line left out. */
type Failures<E> = Extract<Exclude<E, ValidationError.ValidationError>, { readonly _tag: string }>

/**
 * What to do about each way in which a program ends; undefined where its message says it. A new error does not compile
 * until it is here.
 */
export type NextSteps<E> = {
  readonly [T in Failures<E>["_tag"]]: string | undefined
}

/** Turns each failure of a program into one message on standard error, and into an exit code. */
export const reported = <A, E, R>(
  program: string,
  run: Effect.Effect<A, E, R>,
  next: NextSteps<E> | undefined = undefined
) =>
  Effect.catchAllCause(run, (cause) =>
    Effect.gen(function* () {
      if (Cause.isInterruptedOnly(cause)) return yield* Effect.interrupt
      const error = Cause.squash(cause)
      if (error instanceof Told) return yield* Effect.fail(error)
      // @effect/cli has printed these itself.
      if (ValidationError.isValidationError(error)) return yield* Effect.fail(new Told(2))
      yield* Console.error(`${program}: ${error instanceof Error ? error.message : String(error)}`)
      const tag = error instanceof Error && "_tag" in error ? String(error._tag) : undefined
      const step = (next as Readonly<Record<string, string | undefined>> | undefined)?.[tag ?? ""]
      if (step !== undefined) yield* Console.error(`  next: ${step}`)
      if (process.env.MCP_DEBUG === "1") yield* Console.error(Cause.pretty(cause))
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
