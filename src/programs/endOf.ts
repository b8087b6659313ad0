import { Effect, Option } from "effect"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { KernelLog } from "../services/KernelLog.ts"

const killed = 137

/**
 * Why a container ended, under a stable name. On cgroup v1 podman does not know of a kill for memory (measured): there
 * an exit with 137 is one when the kernel's log says so.
 */
export const endOf = (container: string, exitCode: number) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const kernel = yield* KernelLog
    const plain = { reason: `exited_${exitCode}`, why: `it ended with exit code ${exitCode}` }
    if (exitCode !== killed) return plain
    const outOfMemory = { reason: "oom_killed", why: "it was killed because it used more memory than its limit" }
    const known = yield* Effect.option(runtime.inspect(container))
    if (Option.isSome(known) && known.value.oomKilled === true) return outOfMemory
    const id = Option.match(known, { onNone: () => container, onSome: ({ id }) => id })
    const since = Option.match(known, { onNone: () => 0, onSome: ({ startedAt }) => startedAt ?? 0 })
    const said = yield* kernel.oomKilled(id, since)
    if (Option.isNone(said)) {
      return { reason: "killed_perhaps_oom", why: "it was killed (exit code 137), perhaps for its memory" }
    }
    return said.value ? outOfMemory : plain
  })
