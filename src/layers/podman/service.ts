import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { Deferred, Duration, Effect, Option, Ref, Schedule, Schema, type Scope } from "effect"
import { RuntimeUnavailable } from "../../services/RuntimeError.ts"
import { whyNot } from "../fileError.ts"
import { gone, signal, startTimeOf } from "./processes.ts"

export interface Options {
  readonly stateDir: string
  readonly command: ReadonlyArray<string>
}

export interface Service {
  readonly socketPath: string
  /** Waits until `ping` succeeds, or the first podman has ended. */
  readonly ready: <A>(ping: Effect.Effect<A, RuntimeUnavailable>) => Effect.Effect<void, RuntimeUnavailable>
}

const Recorded = Schema.parseJson(Schema.Struct({ pid: Schema.Int, startTime: Schema.String }))

/** SIGTERM, and SIGKILL to one that has not gone after 5 s. Only the process itself: containers live on. */
const end = (pid: number, startTime: string) => {
  const over = gone(pid, startTime)
  return Effect.gen(function* () {
    if ((yield* startTimeOf(pid)) !== startTime) return
    yield* signal(pid, "SIGTERM")
    const ended = yield* Effect.timeoutOption(over, "5 seconds")
    if (Option.isSome(ended)) return
    yield* signal(pid, "SIGKILL")
    yield* Effect.timeoutOption(over, "5 seconds")
  })
}

/** A podman that an agent before this one started and, having crashed, could not end. */
const endOrphan = (record: string) =>
  Effect.gen(function* () {
    const text = yield* Effect.promise(() => readFile(record, "utf8").catch(() => ""))
    const recorded = Schema.decodeOption(Recorded)(text)
    if (Option.isNone(recorded)) return
    // Ticks since boot come again after the next boot, and a pid with them.
    const argv = yield* Effect.promise(() => readFile(`/proc/${recorded.value.pid}/cmdline`, "utf8").catch(() => ""))
    if (argv.includes("podman")) yield* end(recorded.value.pid, recorded.value.startTime)
    yield* Effect.promise(() => rm(record, { force: true }))
  })

interface Running {
  readonly child: ChildProcess
  readonly pid: number
  readonly startTime: string
  readonly ended: Effect.Effect<string>
}

const start = ({ command, stateDir }: Options, socketPath: string, record: string) =>
  Effect.gen(function* () {
    yield* Effect.promise(() => rm(socketPath, { force: true }))
    const [program = "podman", ...args] = command
    const { child, exit } = yield* Effect.sync(() => {
      const child = spawn(program, [...args, "system", "service", "--time=0", `unix://${socketPath}`], {
        stdio: ["ignore", "ignore", "pipe"],
        // In a process group of its own, or Ctrl-C at a terminal would end it before the agent has used it to stop.
        detached: true
      })
      // `exit`, not `close`: what podman has started may hold its stderr for as long as a container lives.
      return { child, exit: once(child, "exit").catch((error: unknown) => error) }
    })
    const lastLine = yield* Ref.make("")
    const runtime = yield* Effect.runtime<never>()
    if (child.stderr) {
      createInterface({ input: child.stderr }).on("line", (line) => {
        const log = Effect.zipRight(Ref.set(lastLine, line), Effect.logDebug(line))
        void Effect.runPromise(Effect.provide(Effect.annotateLogs(log, { source: "podman" }), runtime))
      })
    }
    const ended = Effect.flatMap(
      Effect.promise(() => exit),
      (how) =>
        Effect.map(Ref.get(lastLine), (line) => {
          if (!Array.isArray(how)) return `cannot run ${program}: ${whyNot(how)}`
          const [code, name] = how
          // After a signal the last line is about something else.
          return name ? `podman ended (${name})` : `podman ended (exit code ${code})${line ? `: ${line}` : ""}`
        })
    )
    const pid = child.pid ?? 0
    const startTime = (pid === 0 ? undefined : yield* startTimeOf(pid)) ?? ""
    if (startTime !== "") {
      yield* Effect.promise(() => writeFile(record, `${JSON.stringify({ pid, startTime })}\n`))
    }
    return { child, pid, startTime, ended } satisfies Running
  }).pipe(Effect.annotateLogs({ stateDir }))

const backOff = (failures: number) => Math.min(250 * 2 ** failures, 10_000)

/** Keeps one podman service running for as long as the scope is open. */
export const run = (options: Options): Effect.Effect<Service, RuntimeUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const { stateDir } = options
    const socketPath = join(stateDir, "podman.sock")
    const record = join(stateDir, "podman-service.json")
    const failed = (why: string) => new RuntimeUnavailable({ operation: "start podman", why })
    // The kernel's limit; podman's own words for it are "bind: invalid argument".
    if (Buffer.byteLength(socketPath) > 107) return yield* failed(`the path ${socketPath} is too long for a socket`)
    yield* Effect.tryPromise({
      try: () => mkdir(stateDir, { recursive: true, mode: 0o700 }),
      catch: (error) => failed(`cannot use ${stateDir}: ${whyNot(error)}`)
    })
    yield* endOrphan(record)

    const firstEnd = yield* Deferred.make<never, RuntimeUnavailable>()
    const failures = yield* Ref.make(0)
    const oneLife = Effect.acquireUseRelease(
      start(options, socketPath, record),
      ({ ended }) => Effect.timed(ended),
      ({ pid, startTime }) =>
        Effect.zipRight(
          startTime === "" ? Effect.void : end(pid, startTime),
          Effect.promise(() => rm(record, { force: true }))
        )
    )
    const supervise = Effect.gen(function* () {
      const [lived, why] = yield* oneLife
      yield* Deferred.fail(firstEnd, failed(why))
      yield* Effect.logWarning("the podman service has ended, starting it again").pipe(Effect.annotateLogs({ why }))
      const before = Duration.toMillis(lived) > 30_000 ? 0 : yield* Ref.get(failures)
      yield* Ref.set(failures, before + 1)
      yield* Effect.sleep(backOff(before))
    }).pipe(
      Effect.catchAllCause((cause) =>
        Effect.zipRight(Effect.logError("the podman service cannot be started", cause), Effect.sleep("10 seconds"))
      ),
      Effect.forever
    )
    yield* Effect.forkScoped(supervise)

    return {
      socketPath,
      ready: (ping) =>
        ping.pipe(
          Effect.retry(Schedule.spaced("25 millis")),
          Effect.timeoutFail({ duration: "20 seconds", onTimeout: () => failed("no answer within 20 s") }),
          Effect.raceFirst(Deferred.await(firstEnd)),
          Effect.asVoid
        )
    }
  })
