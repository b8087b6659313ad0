import { Effect, Option, Queue, Stream } from "effect"
import type { Attached, AttachedCommand, AttachedOutput, TerminalSize } from "../services/ContainerRuntime.ts"
import type { CommandNotRun } from "../services/RuntimeError.ts"
import type { Behaviour } from "./FakeRuntimeControl.ts"

/** What a fake command has of the world. */
export interface FakeProcess extends AttachedCommand {
  /** Ends with the input; never without one. */
  readonly input: Stream.Stream<Uint8Array>
  /** Each size that the terminal is given after its first. */
  readonly sizes: Stream.Stream<TerminalSize>
  /** Waits while the caller does not read. */
  readonly write: (stream: "stdout" | "stderr", text: string | Uint8Array) => Effect.Effect<void>
}

/** Interrupted when it is hung up on. */
export type FakeCommand = (process: FakeProcess) => Effect.Effect<number, CommandNotRun>

const KILLED = 137

/** Runs what the behaviour says; the container's end is the command's. */
export const fakeAttach = (behaviour: Behaviour, command: AttachedCommand, containerEnds: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const input = yield* Queue.bounded<Option.Option<Uint8Array>>(4)
    const sizes = yield* Queue.unbounded<TerminalSize>()
    const output = yield* Queue.bounded<Effect.Effect<AttachedOutput, CommandNotRun>>(4)
    const write: FakeProcess["write"] = (stream, text) => {
      const bytes = typeof text === "string" ? Buffer.from(text) : text
      return Effect.asVoid(output.offer(Effect.succeed({ _tag: "Bytes", stream, bytes })))
    }
    const plain: FakeCommand = ({ argv }) => {
      const { exitCode, output } = behaviour.exec?.(argv) ?? { exitCode: 0, output: "" }
      return Effect.as(output === "" ? Effect.void : write("stdout", output), exitCode)
    }
    const run = (behaviour.attach ?? plain)({
      ...command,
      input: Stream.fromQueue(input).pipe(
        Stream.takeWhile(Option.isSome),
        Stream.map(({ value }) => value)
      ),
      sizes: Stream.fromQueue(sizes),
      write
    })
    yield* Effect.raceFirst(run, Effect.as(containerEnds, KILLED)).pipe(
      Effect.matchEffect({
        onSuccess: (exitCode) => output.offer(Effect.succeed<AttachedOutput>({ _tag: "Exit", exitCode, cut: false })),
        onFailure: (error) => output.offer(Effect.fail(error))
      }),
      // What is written to a command that has ended is dropped.
      Effect.zipRight(Queue.shutdown(input)),
      Effect.forkScoped
    )
    const offer = (value: Option.Option<Uint8Array>) =>
      Effect.asVoid(Effect.exit(Effect.interruptible(input.offer(value))))
    return {
      output: Stream.fromQueue(output).pipe(
        Stream.mapEffect((next) => next),
        Stream.takeUntil(({ _tag }) => _tag === "Exit")
      ),
      write: (bytes) => offer(Option.some(bytes)),
      closeInput: offer(Option.none()),
      resize: (size) => (command.terminal === undefined ? Effect.void : Effect.asVoid(sizes.offer(size)))
    } satisfies Attached
  })
