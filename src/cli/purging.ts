import { Effect } from "effect"
import { toProto } from "../grpc/spec.ts"
import type { NodeConfig } from "../services/Agents.ts"
import type { Loaded } from "./definitions.ts"
import type * as Json from "./json.ts"
import { acting, askAll, reading } from "./nodes.ts"
import type { Look } from "./output.ts"
import * as rows from "./rows.ts"
import { table } from "./table.ts"

/** A definition, and the node that it is for. */
export type Placed = Pick<Loaded, "spec" | "node">

export interface Purging {
  readonly service: string
  readonly component: string
  readonly dryRun: boolean
  readonly keepContainers: boolean
}

export const specsOf = (definitions: ReadonlyArray<Placed>, node: NodeConfig) =>
  definitions.flatMap((d) => (d.node.name === node.name ? [toProto(d.spec)] : []))

/** Asks nodes to purge; each is told its own definitions, which are wanted there. */
export const purgeOn = (nodes: ReadonlyArray<NodeConfig>, definitions: ReadonlyArray<Placed>, purging: Purging) =>
  Effect.gen(function* () {
    const options = yield* purging.dryRun ? reading : acting
    const { answered, silent } = yield* askAll(nodes, (client, node) =>
      client.purgeComponents({ ...purging, defined: specsOf(definitions, node) }, options)
    )
    const entries = answered.flatMap(({ node, value }) => value.entries.map((e) => rows.purgedEntry(e, node.name)))
    return { answered, silent, entries }
  })

export const entryName = (e: Json.PurgedEntry) => (e.component === null ? e.service : `${e.service}/${e.component}`)

const whyOf = (e: Json.PurgedEntry): string => {
  if (!e.purged) return e.why ?? ""
  if (e.removed_container !== null) return `with its container ${e.removed_container}, which had ended`
  return e.component === null ? "nothing of it is left" : "its container is gone"
}

/** What was dropped, or would be, and what stays and why, with what to do about that. */
export const renderPurge = (entries: ReadonlyArray<Json.PurgedEntry>, dryRun: boolean, look: Look) => [
  ...table(
    ["SERVICE", "COMPONENT", "NODE", "OBSERVED", "ENTRY", "WHY"],
    entries.map((e) => [
      ...[e.service, e.component ?? "", e.node],
      e.component === null ? "" : rows.stateCell(e.observed),
      e.purged
        ? { text: dryRun ? "would be dropped" : "dropped", style: "green" as const }
        : { text: "stays", style: "yellow" as const },
      whyOf(e)
    ]),
    look
  ),
  ...entries.flatMap((e) => (e.next_step === null ? [] : [`  next for ${entryName(e)}: ${e.next_step}`]))
]
