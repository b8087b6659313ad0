import { dirname, join, resolve } from "node:path"
import { Console, Effect, Option } from "effect"
import type { AgentConfig } from "../domain/AgentConfig.ts"
import { snapshot } from "../programs/snapshot.ts"
import { type SnapshotFacts, Snapshots } from "../services/Snapshots.ts"
import { AgentRuns } from "./byHand.ts"

const plural = (n: number, noun: string) => `${n} ${noun}${n === 1 ? "" : "s"}`

const holds = ({ beside, bytes, deployments, registry, schemaVersion, services }: SnapshotFacts) => [
  `  holds registry ${registry}: ${plural(services, "service")}, ${plural(deployments, "deployment")}, schema ${schemaVersion}, ${Math.ceil(bytes / 1024)} KiB`,
  ...(beside.length === 0 ? [] : [`  with ${beside.join(", ")} beside it; both are needed to restore`]),
  "  not in it: images, containers, and the files of services"
]

/** A trailing slash says that a folder is meant, also one that is not there yet. */
const absolute = (path: string) => `${resolve(path)}${path.endsWith("/") ? "/" : ""}`

/** `mcp-agent snapshot`. */
export const snapshotRegistry = (config: AgentConfig, to: Option.Option<string>, keep: Option.Option<number>) =>
  Effect.gen(function* () {
    const database = config.database.path
    const made = yield* snapshot({
      database,
      node: config.agent.nodeName,
      to: Option.match(to, { onNone: () => `${join(dirname(database), "snapshots")}/`, onSome: absolute }),
      keep: Option.getOrUndefined(keep)
    })
    yield* Console.log(
      [`wrote ${made.file}`, ...holds(made.facts), ...made.removed.map((file) => `removed ${file}`)].join("\n")
    )
  })

/** `mcp-agent restore`. */
export const restoreRegistry = (config: AgentConfig, file: string) =>
  Effect.gen(function* () {
    const { facts, kept } = yield* Effect.catchTag(
      (yield* Snapshots).restore(resolve(file), config.database.path),
      "RegistryLocked",
      ({ pid }) => new AgentRuns({ pid })
    )
    yield* Console.log(
      [
        `restored ${config.database.path}`,
        ...holds(facts).slice(0, -1),
        ...kept.map((old) => `  the one before is kept as ${old}`),
        "next: start the agent; it brings back what this registry says should run. Containers of later deployments stay as they are, unmanaged"
      ].join("\n")
    )
  })
