import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { login, make as makeNode } from "../support/agent.ts"
import { definition, must } from "./site.ts"
import { atMost, type Result, type Side, sampled } from "./statistics.ts"

const containers = 100
const windows = 7
const windowMs = 10_000
const ticksPerSecond = 100

/** CPU time in milliseconds, and resident memory in MiB. */
const usedBy = (pid: number) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
  const ticks = Number(fields[11]) + Number(fields[12])
  const kib = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0)
  return { cpuMs: (ticks * 1000) / ticksPerSecond, rssMib: kib / 1024 }
}

const share = (name: string, samples: ReadonlyArray<number>): Side => sampled(name, "% of a core", samples)

/** With so many running containers and nobody who asks: what agent and podman's own service use, and one `podman ps` a second. */
export const agentIdle = Effect.gen(function* () {
  const node = yield* makeNode
  yield* node.startMcias
  const agent = yield* node.startAgent
  yield* login(node, "admin")
  const text = definition("idle", containers).replaceAll('stop_timeout = "0s"', 'stop_timeout = "0s"\nnetwork = "none"')
  node.define("idle", text)
  yield* must(node.mcp("deploy", "idle"))
  const podman = Number(JSON.parse(readFileSync(join(node.dir, "agent/podman/podman-service.json"), "utf8")).pid)
  // What a deploy leaves behind is over: health of images, garbage.
  yield* Effect.sleep("60 seconds")
  const agents: Array<number> = []
  const services: Array<number> = []
  const memory: Array<number> = []
  for (let n = 0; n < windows; n++) {
    const before = [usedBy(agent.pid), usedBy(podman)] as const
    yield* Effect.sleep(windowMs)
    const after = [usedBy(agent.pid), usedBy(podman)] as const
    agents.push(((after[0].cpuMs - before[0].cpuMs) * 100) / windowMs)
    services.push(((after[1].cpuMs - before[1].cpuMs) * 100) / windowMs)
    memory.push(after[0].rssMib)
  }
  const lists: Array<number> = []
  for (let n = 0; n < 10; n++) {
    const children = childrenMs()
    yield* node.podman.run("ps")
    lists.push((childrenMs() - children) / 10)
  }
  const peer = share("one `podman ps` a second", lists)
  return [
    atMost("agent-idle", 0.5, share("agent", agents), peer),
    atMost("agent-idle, podman itself", 100, share("podman's service", services), peer),
    atMost("agent-idle, memory", 120, sampled("agent", "MiB", memory))
  ] satisfies ReadonlyArray<Result>
}).pipe(Effect.scoped, Effect.orDie)

/** CPU time of the children that have ended, in milliseconds. */
const childrenMs = () => {
  const fields = readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
  return ((Number(fields[13]) + Number(fields[14])) * 1000) / ticksPerSecond
}
