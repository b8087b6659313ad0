import { existsSync, watch } from "node:fs"
import { basename, dirname, join } from "node:path"
import Database from "better-sqlite3"
import { Context, Effect, Layer } from "effect"
import * as PodmanRuntime from "../../src/layers/PodmanRuntime.ts"
import * as SqliteRegistry from "../../src/layers/SqliteRegistry.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import type { Registry } from "../../src/services/Registry.ts"
import type { Node } from "./agent.ts"
import { temporaryFolder } from "./folder.ts"

/** Numbers that look random, and are the same in each run. */
export const sequence = (seed: number) => {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

const database = (node: Node) => join(node.dir, "agent/mcp.db")

/**
 * Waits until the agent has written to its registry `writes` times from now on, or the act is over. Answers how often it
 * has written by then.
 */
export const afterWrites = (node: Node, writes: number, over: Effect.Effect<unknown>): Effect.Effect<number> =>
  Effect.suspend(() => {
    const log = `${basename(database(node))}-wal`
    let seen = 0
    const reached = Effect.async<void>((resume) => {
      const watcher = watch(dirname(database(node)), (_event, file) => {
        if (file !== log) return
        seen += 1
        if (seen >= writes) resume(Effect.void)
      })
      return Effect.sync(() => watcher.close())
    })
    return Effect.map(Effect.race(reached, over), () => seen)
  })

/** The registry of an agent, also of one that runs: a copy that is whole, in a folder of its own. */
const copyOfRegistry = (node: Node): string => {
  const copy = join(temporaryFolder(), "mcp.db")
  const db = new Database(database(node), { fileMustExist: true })
  db.prepare("VACUUM INTO ?").run(copy)
  db.close()
  return copy
}

/**
 * What state a restore that is not over was in when the agent ended, or else the last deployment; `undeploying` for a
 * service on its way out.
 */
export const stateOnDisk = (node: Node, service: string): string => {
  if (!existsSync(database(node))) return "none"
  const db = new Database(copyOfRegistry(node), { readonly: true })
  const one = (sql: string) => db.prepare(sql).get(service) as Record<string, unknown> | undefined
  const stored = one("SELECT undeploying FROM services WHERE service = ?")
  const last = one("SELECT state FROM deployments WHERE service = ? ORDER BY id DESC LIMIT 1")
  const restore = one("SELECT state FROM restores WHERE service = ? ORDER BY id DESC LIMIT 1")
  db.close()
  if (restore !== undefined) return `restore ${restore.state}`
  return stored?.undeploying ? "undeploying" : String(last?.state ?? "none")
}

/** Podman as the test asks it itself, beside the agent. */
export const ownRuntime = (node: Node) =>
  Effect.map(
    Layer.build(PodmanRuntime.layerOwned({ stateDir: join(node.dir, "test-podman"), command: [node.podman.command] })),
    Context.get(ContainerRuntime)
  )

/** Runs a check over what the agent has written and what podman has. */
export const overBoth = <A, E>(
  node: Node,
  runtime: ContainerRuntime["Type"],
  check: Effect.Effect<A, E, ContainerRuntime | Registry>
) =>
  Effect.suspend(() =>
    check.pipe(
      Effect.provide(Layer.merge(SqliteRegistry.layer(copyOfRegistry(node)), Layer.succeed(ContainerRuntime, runtime)))
    )
  )
