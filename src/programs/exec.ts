import { Deferred, Effect, Stream } from "effect"
import {
  type Attached,
  type AttachedCommand,
  type AttachedOutput,
  ContainerRuntime,
  type TerminalSize
} from "../services/ContainerRuntime.ts"
import { gather } from "./facts.ts"
import { findService } from "./findService.ts"
import { ComponentAmbiguous, ComponentNotFound, ComponentNotRunning } from "./ProgramError.ts"

export type ExecInput =
  | { readonly _tag: "Stdin"; readonly bytes: Uint8Array }
  /** The end of the input. */
  | { readonly _tag: "Close" }
  | { readonly _tag: "Resize"; readonly size: TerminalSize }

export type ExecOutput = { readonly _tag: "Started" } | AttachedOutput

/** The running container that a command is meant for: a service with one component needs no component's name. */
export const execTarget = (service: string, component: string | undefined) =>
  Effect.gen(function* () {
    const row = yield* findService(service)
    const { current, rows } = yield* gather(service)
    const defined = row.spec.components.map(({ name }): string => name).filter((name) => rows.has(name))
    const known = [...rows.keys()]
    const [only, ...others] = defined
    if (component === undefined && only !== undefined && others.length > 0) {
      return yield* new ComponentAmbiguous({ service, known: [only, ...others] })
    }
    const wanted = component ?? only
    if (wanted === undefined || !rows.has(wanted)) {
      return yield* new ComponentNotFound({ service, component: wanted ?? service, known })
    }
    const container = current.get(wanted)
    if (container?.state === "running") return { component: wanted, container: container.id }
    const stopped = rows.get(wanted)?.desired === "stopped"
    const ended = container?.state === "paused" ? "paused" : stopped ? "stopped" : "exited"
    return yield* new ComponentNotRunning({
      service,
      component: wanted,
      state: container === undefined ? "removed" : ended
    })
  })

const give = (command: Attached, input: ExecInput) => {
  switch (input._tag) {
    case "Stdin":
      return command.write(input.bytes)
    case "Close":
      return command.closeInput
    case "Resize":
      return command.resize(input.size)
  }
}

/**
 * Runs a command until it ends, or until nobody listens any more: then it is ended. Input that ends without `Close` was cut
 * off, and the command never takes it for whole.
 */
export const exec = <E, R>(container: string, command: AttachedCommand, input: Stream.Stream<ExecInput, E, R>) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const attached = yield* runtime.attach(container, command)
      const broken = yield* Deferred.make<never, E>()
      yield* Stream.runForEach(input, (one) => give(attached, one)).pipe(
        Effect.catchAll((error) => Deferred.fail(broken, error)),
        Effect.forkScoped
      )
      return Stream.succeed<ExecOutput>({ _tag: "Started" }).pipe(
        Stream.concat(attached.output),
        Stream.interruptWhenDeferred(broken)
      )
    })
  )
