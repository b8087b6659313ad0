import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, statfsSync } from "node:fs"
import { join } from "node:path"
import { Effect, Ref } from "effect"
import { type Daemon, login, make as makeNode, type Node } from "../support/agent.ts"
import { more } from "./statistics.ts"
import { withFolder } from "./transfer.ts"

const MIB = 1024 ** 2
const SMALL = 100 * MIB
const LARGE = 4096 * MIB
const ROUNDS = 3
const SERVICE = "large"

/** The most that it ever had in memory, in MiB; undefined once it has ended. */
const peakOf = (pid: number) => {
  try {
    const kib = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    return kib === undefined ? undefined : Number(kib) / 1024
  } catch {
    return undefined
  }
}

/** What a program has had at most, looked at until it ends. */
const peakUntilEnd = (daemon: Daemon) =>
  Effect.gen(function* () {
    const peak = yield* Ref.make(0)
    const look = Effect.suspend(() => Ref.update(peak, (before) => peakOf(daemon.pid) ?? before))
    const code = yield* Effect.raceFirst(daemon.ended, Effect.forever(Effect.delay(look, "5 millis")))
    if (code !== 0) yield* Effect.dieMessage(`exit ${code}: ${daemon.log()}`)
    return yield* Ref.get(peak)
  })

/** One transfer with an agent of its own. */
const transfer = (node: Node, words: ReadonlyArray<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const agent = yield* node.startAgent
      const cli = yield* peakUntilEnd(yield* node.startMcp(...words))
      return { agent: peakOf(agent.pid) ?? Number.NaN, cli }
    })
  )

/** Holes cost no disk where they are read; what is written of them does, until it is removed. */
const sparse = (file: string, size: number) => {
  const fd = openSync(file, "w")
  ftruncateSync(fd, size)
  closeSync(fd)
}

/** How much more agent and CLI take for a file that is forty times as large. */
export const transferMemory = Effect.gen(function* () {
  const node = yield* makeNode
  const { bavail, bsize } = statfsSync(node.dir)
  if (bavail * bsize < 2 * LARGE) yield* Effect.dieMessage("there is not enough room for a file of 4 GiB")
  yield* node.startMcias
  yield* Effect.scoped(
    Effect.gen(function* () {
      yield* node.startAgent
      yield* login(node, "admin")
      yield* withFolder({ node }, SERVICE)
    })
  )
  const root = join(node.dir, "srv", SERVICE)
  mkdirSync(root, { recursive: true })
  const [here, there, back] = [join(node.dir, "file"), join(root, "file"), join(node.dir, "back")]
  const gone = Effect.sync(() => {
    for (const file of [there, back]) rmSync(file, { force: true })
  })
  const ways = { push: ["push", here, SERVICE], pull: ["pull", SERVICE, "file", back] }
  const peaks = new Map<string, Array<number>>()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const size of [SMALL, LARGE]) {
      for (const [way, words] of Object.entries(ways)) {
        sparse(way === "push" ? here : there, size)
        const { agent, cli } = yield* Effect.ensuring(transfer(node, words), gone)
        for (const [side, peak] of [
          ["agent", agent],
          ["mcp", cli]
        ] as const) {
          const key = `${way} ${side} ${size}`
          peaks.set(key, [...(peaks.get(key) ?? []), peak])
        }
      }
    }
  }
  const of = (way: string, side: string, size: number) => peaks.get(`${way} ${side} ${size}`) ?? []
  return Object.keys(ways).flatMap((way) =>
    ["agent", "mcp"].map((side) =>
      more(
        `transfer-memory, ${way}`,
        32,
        [`${side}, 4 GiB`, of(way, side, LARGE)],
        [`${side}, 100 MiB`, of(way, side, SMALL)],
        "MiB"
      )
    )
  )
}).pipe(Effect.scoped, Effect.orDie)
