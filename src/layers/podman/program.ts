import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { Data, Effect, Option, Schedule, Stream } from "effect"
import { PodmanMissing, PodmanUnusable } from "../../services/BuildError.ts"
import { whyNot } from "../fileError.ts"
import { below, signal } from "./processes.ts"

export interface Line {
  readonly from: "stdout" | "stderr"
  readonly text: string
}

/** It ended, but not with 0. */
export class Exited extends Data.TaggedError("Exited")<{
  readonly code: number
  /** What it wrote last, of both. */
  readonly lines: ReadonlyArray<string>
}> {}

/** Of a podman that is only the client of one elsewhere, as on macOS. */
const noService = /^Error: unable to connect to Podman/i
const keptLines = 60
const graceTime = "10 seconds"
const stepWithin = "2 seconds"

const stepsOf = (pid: number) => below(pid, (program) => program.startsWith("buildah-"))

/** A step that is about to begin: podman says so before there is a process of it. */
const firstSteps = (pid: number) =>
  stepsOf(pid).pipe(
    Effect.filterOrFail((steps) => steps.length > 0),
    Effect.retry(Schedule.spaced("20 millis")),
    Effect.timeout(stepWithin),
    Effect.orElseSucceed((): ReadonlyArray<number> => [])
  )

/**
 * A step's command outlives a podman that ends before it, so the step goes first: podman then tidies up and ends too. One
 * that is ended itself leaves the containers that it builds in, so it is given the time to come to a step.
 */
const end = (child: ChildProcess, builds: boolean, over: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const pid = child.pid
    if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const steps = builds
      ? yield* Effect.raceFirst(Effect.interruptible(firstSteps(pid)), Effect.as(Effect.interruptible(over), []))
      : []
    yield* Effect.forEach(steps.length === 0 ? [pid] : steps, (one) => signal(one, "SIGTERM"), { discard: true })
    if (Option.isSome(yield* Effect.timeoutOption(Effect.interruptible(over), graceTime))) return
    yield* signal(-pid, "SIGKILL")
    yield* over
  })

/** What `podman` with these words writes, line by line; podman ends with the stream, whatever ends that. */
export const lines = (
  args: readonly [string, ...ReadonlyArray<string>]
): Stream.Stream<Line, PodmanMissing | PodmanUnusable | Exited> =>
  Stream.asyncScoped<Line, PodmanMissing | PodmanUnusable | Exited>(
    (emit) =>
      Effect.gen(function* () {
        const child = yield* Effect.acquireRelease(
          // In a group of its own: Ctrl-C at the terminal is for us, who end it in order.
          Effect.sync(() => spawn("podman", args, { stdio: ["ignore", "pipe", "pipe"], detached: true })),
          (child) => Effect.uninterruptible(end(child, args[0] === "build", exit(child)))
        )
        const last: Array<string> = []
        const open = [child.stdout, child.stderr].map(
          (input, at) =>
            new Promise<void>((done) => {
              const reader = createInterface({ input })
              reader.on("line", (text) => {
                if (last.push(text) > keptLines) last.shift()
                void emit.single({ from: at === 0 ? "stdout" : "stderr", text })
              })
              reader.once("close", () => done())
            })
        )
        child.once("error", (error) => {
          const missing = "code" in error && error.code === "ENOENT"
          void emit.fail(
            missing
              ? new PodmanMissing({ why: "there is no such program on the PATH" })
              : new PodmanUnusable({ operation: args[0], why: whyNot(error) })
          )
        })
        child.once("close", (code, name) => {
          void Promise.all(open).then(() => {
            if (code === 0) return emit.end()
            const away = last.find((line) => noService.test(line))
            if (away !== undefined) return emit.fail(new PodmanMissing({ why: away.replace(/^Error: /, "") }))
            const said = name === null ? [] : [`Error: ended by ${name}`]
            return emit.fail(new Exited({ code: code ?? -1, lines: [...last, ...said] }))
          })
        })
      }),
    "unbounded"
  )

const exit = (child: ChildProcess) =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

/** What it wrote to its output, once it has ended well. */
export const output = (args: readonly [string, ...ReadonlyArray<string>]) =>
  lines(args).pipe(
    Stream.filter(({ from }) => from === "stdout"),
    Stream.runFold("", (text, line) => `${text}${line.text}\n`)
  )
