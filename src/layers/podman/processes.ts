import { readdir, readFile } from "node:fs/promises"
import { Effect, Option, Schedule } from "effect"

const fieldsOf = (pid: number) =>
  Effect.promise(() => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")).pipe(
    // The second field is the program's name in parentheses and may hold anything.
    Effect.map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" "))
  )

/** When the kernel started the process, in ticks since boot: with the pid it names one process. */
export const startTimeOf = (pid: number) =>
  Effect.map(fieldsOf(pid), ([state, ...fields]) => (state === "Z" || state === "X" ? undefined : fields[18]))

/** To a process, or with a negative pid to its group. */
export const signal = (pid: number, name: NodeJS.Signals) =>
  Effect.sync(() => {
    try {
      process.kill(pid, name)
    } catch {
      // It has just ended.
    }
  })

/** Until the process is no longer the one that was started then. */
export const gone = (pid: number, startTime: string) =>
  startTimeOf(pid).pipe(Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (now) => now !== startTime }))

/**
 * Ends a command in a container and what it has started: SIGHUP, and SIGKILL to a command that is there 2 s later. The
 * pid may be another's by now, so it has to lead a group and to be in the container.
 */
export const endGroup = (pid: number, containerId: string) =>
  Effect.gen(function* () {
    const startTime = yield* startTimeOf(pid)
    const [, , group] = yield* fieldsOf(pid)
    const cgroup = yield* Effect.promise(() => readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => ""))
    if (pid <= 1 || startTime === undefined || group !== String(pid) || !cgroup.includes(containerId)) return
    yield* signal(-pid, "SIGHUP")
    const ended = yield* Effect.timeoutOption(Effect.interruptible(gone(pid, startTime)), "2 seconds")
    if (Option.isNone(ended)) yield* signal(-pid, "SIGKILL")
  })

const parents = Effect.gen(function* () {
  const all = yield* Effect.promise(() => readdir("/proc").catch((): Array<string> => []))
  const pids = all.filter((name) => /^\d+$/.test(name)).map(Number)
  const found = yield* Effect.forEach(pids, (pid) =>
    Effect.map(fieldsOf(pid), ([, parent]) => [pid, Number(parent)] as const)
  )
  return new Map(found)
})

const programOf = (pid: number) =>
  Effect.promise(() => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).pipe(
    Effect.map((argv) => argv.split("\0")[0] ?? "")
  )

/** What runs below a process and is called so; nothing where there is no /proc. */
export const below = (pid: number, isMeant: (program: string) => boolean) =>
  Effect.gen(function* () {
    const parentOf = yield* parents
    const isBelow = (one: number): boolean => {
      const parent = parentOf.get(one)
      return parent === pid || (parent !== undefined && parent > 1 && isBelow(parent))
    }
    return yield* Effect.filter([...parentOf.keys()].filter(isBelow), (one) => Effect.map(programOf(one), isMeant))
  })
