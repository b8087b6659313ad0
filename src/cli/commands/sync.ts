import { Command, Options } from "@effect/cli"
import { Effect, Ref, Stream } from "effect"
import type { SyncResult } from "../../gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../grpc/status.ts"
import type { AgentClient, NodeConfig } from "../../services/Agents.ts"
import { DeployFailed } from "../../services/CliError.ts"
import { load, selection } from "../definitions.ts"
import { type CliFailure, Exit } from "../errors.ts"
import { Globals } from "../Globals.ts"
import * as Json from "../json.ts"
import { tellIfLeft } from "../leaving.ts"
import { acting, allNodes, askAll, isSilence } from "../nodes.ts"
import { answer, look, note, warn } from "../output.ts"
import { conclude, names } from "../overview.ts"
import { entryName, type Placed, purgeOn, renderPurge, specsOf } from "../purging.ts"
import { besides, summary, syncedLines } from "../renderSync.ts"
import * as rows from "../rows.ts"
import { Screen } from "../Screen.ts"

const dryRun = Options.boolean("dry-run").pipe(Options.withDescription("show what would be done only"))
const prune = Options.boolean("prune").pipe(
  Options.withDescription("then drop registry entries that are gone and unwanted")
)

/** What became of a service that was not brought to its definition. */
const failureOf = ({ failure, node, outcome, service, ...rest }: Json.SyncService): ReadonlyArray<CliFailure> => {
  if (failure === null || outcome === "pinned") return []
  const { component, last_logs, message, next_step, reason } = failure
  if (rest.deployment !== null) {
    const now = `back to what was there before; mcp status ${service} shows it`
    const told = { service, node, component: component ?? "", reason, why: message, lastLogs: last_logs }
    return [new DeployFailed({ ...told, nextStep: next_step ?? "", now })]
  }
  const code = reason === "PERMISSION_DENIED" ? Code.PERMISSION_DENIED : Code.FAILED_PRECONDITION
  return [
    new RpcError({
      code,
      reason,
      detail: message,
      service,
      node,
      ...(next_step === null ? {} : { nextStep: next_step })
    })
  ]
}

interface Syncing {
  readonly definitions: ReadonlyArray<Placed>
  readonly dryRun: boolean
  /** Told of each service as it is done. */
  readonly tell: (service: Json.SyncService) => Effect.Effect<void>
}

/** One node's sync, to its end. Where the answer breaks off, the agent goes on by itself. */
const syncNode = (client: AgentClient, node: NodeConfig, { definitions, dryRun, tell }: Syncing) =>
  Effect.gen(function* () {
    const options = yield* acting
    const done = yield* Ref.make<SyncResult | undefined>(undefined)
    const heard = yield* Ref.make(0)
    const specs = specsOf(definitions, node)
    yield* Stream.runForEach(client.syncDesiredState({ specs, dryRun }, options), ({ event }) => {
      if (event.case === "result") return Ref.set(done, event.value)
      if (event.case !== "service") return Effect.void
      return Effect.zipRight(
        Ref.update(heard, (n) => n + 1),
        tell(rows.synced(event.value, node.name))
      )
    }).pipe(
      Effect.catchIf(isSilence, (error) =>
        Effect.flatMap(Ref.get(heard), (n) =>
          n === 0 ? error : new RpcError({ ...error, ...unknown(node, specs.length - n), code: Code.ABORTED })
        )
      )
    )
    const result = yield* Ref.get(done)
    if (result !== undefined) return result
    return yield* new RpcError({ code: Code.ABORTED, ...unknown(node, specs.length - (yield* Ref.get(heard))) })
  })

const unknown = ({ name }: NodeConfig, left: number) => ({
  reason: "RESULT_UNKNOWN",
  detail: `the answer of ${name} broke off with ${left} of its services to come; ${name} goes on by itself`,
  nextStep: "mcp status"
})

/** Drops what is gone and in no definition, once the operator has agreed where one can be asked. */
const pruned = (nodes: ReadonlyArray<NodeConfig>, definitions: ReadonlyArray<Placed>, dryRun: boolean) =>
  Effect.gen(function* () {
    const purging = { service: "", component: "", keepContainers: true }
    const foreseen = yield* purgeOn(nodes, definitions, { ...purging, dryRun: true })
    const going = foreseen.entries.filter(({ purged }) => purged)
    if (dryRun || going.length === 0 || !(yield* agreed(going))) return { ...foreseen, dropped: false }
    return { ...(yield* purgeOn(nodes, definitions, { ...purging, dryRun: false })), dropped: true }
  })

const agreed = (going: ReadonlyArray<Json.PurgedEntry>) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (!screen.canAsk) return true
    const said = yield* screen.ask(
      `Drop ${names(going.map(entryName))}, which ${going.length === 1 ? "is" : "are"} gone and in no definition? [y/N] `
    )
    return /^y(es)?$/i.test(said.trim())
  })

export const sync = Command.make(
  "sync",
  { dryRun, prune },
  Effect.fn("cli.sync")(function* ({ dryRun, prune }) {
    const loaded = yield* load(yield* selection({ targets: [], all: true, file: undefined }))
    const nodes = yield* allNodes
    const known = new Set(loaded.flatMap((l) => l.warnings))
    for (const text of known) yield* warn(text)
    const screen = yield* Screen
    const { json, quiet } = yield* Globals
    const { paint } = yield* look
    const services: Array<Json.SyncService> = []
    const tell = (service: Json.SyncService) =>
      Effect.suspend(() => {
        services.push(service)
        if (json || (quiet && !dryRun && service.outcome !== "pinned")) return Effect.void
        return screen.out(
          syncedLines(service, dryRun, paint)
            .map((line) => `${line}\n`)
            .join("")
        )
      })
    const syncing = { definitions: loaded, dryRun, tell }
    const { answered, silent } = yield* askAll(nodes, (client, node) => syncNode(client, node, syncing)).pipe(
      tellIfLeft(
        "sync",
        loaded.map(({ node, spec }) => ({ service: spec.name, node }))
      )
    )
    for (const text of new Set(services.flatMap((s) => s.warnings))) if (!known.has(text)) yield* warn(text)
    const after = prune
      ? yield* pruned(
          answered.map(({ node }) => node),
          loaded,
          dryRun
        )
      : { entries: [], silent: [], dropped: false }
    const away = silent.filter(({ error }) => isSilence(error))
    const value: Json.Sync = {
      dry_run: dryRun,
      services: [...services].sort((a, b) => (a.service < b.service ? -1 : 1)),
      unmanaged: answered.flatMap(({ node, value }) => value.unmanaged.map((c) => rows.unmanaged(c, node.name))),
      not_defined: answered.flatMap(({ node, value }) =>
        value.undefined.map((service) => ({ service, node: node.name }))
      ),
      purged: after.entries,
      unreachable_nodes: away.map(rows.unreachable)
    }
    yield* answer(Json.Sync, value, (shown) => [
      ...(services.length === 0 || (quiet && !dryRun) ? [] : [summary(value.services)]),
      ...besides(value, shown),
      ...(after.entries.length === 0 ? [] : renderPurge(after.entries, !after.dropped, shown))
    ])
    if (prune && after.entries.length === 0) yield* note("nothing to purge")
    const failed = [...silent, ...after.silent].map(({ error }) => error).filter((error) => !isSilence(error))
    const failures = [...value.services.flatMap(failureOf), ...failed]
    yield* conclude([...away, ...after.silent.filter(({ error }) => isSilence(error))], failures, pinnedCode(services))
  })
).pipe(Command.withDescription("Bring all nodes to the definitions; remove nothing"))

const pinnedCode = (services: ReadonlyArray<Json.SyncService>) =>
  services.some(({ outcome }) => outcome === "pinned") ? Exit.changes : 0
