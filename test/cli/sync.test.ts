import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { agent, dead, mcp, unreachable } from "./support.ts"

const toml = (name: string, extra = "") => `name = "${name}"
${extra}
[[components]]
name = "web"
image = "docker.io/library/web:v2"
`
type Service = MessageInitShape<typeof pb.ServiceSyncedSchema>
type Result = MessageInitShape<typeof pb.SyncResultSchema>
type Purge = MessageInitShape<typeof pb.PurgedEntrySchema>

interface Seen {
  readonly syncs: Array<{ readonly specs: ReadonlyArray<string>; readonly dryRun: boolean }>
  readonly purges: Array<{ readonly defined: ReadonlyArray<string>; readonly dryRun: boolean; readonly keep: boolean }>
}
const nothingSeen = (): Seen => ({ syncs: [], purges: [] })

const syncing = (
  services: ReadonlyArray<Service>,
  result: Result | null = {},
  purged: ReadonlyArray<Purge> = [],
  seen = nothingSeen()
) =>
  agent({
    syncDesiredState: ({ dryRun = false, specs = [] }) => {
      seen.syncs.push({ specs: specs.map(({ name = "" }) => name), dryRun })
      const events = [
        ...services.map((value) => ({ event: { case: "service" as const, value } })),
        ...(result === null ? [] : [{ event: { case: "result" as const, value: result } }])
      ]
      return Stream.fromIterable(events.map((event) => create(pb.SyncDesiredStateResponseSchema, event)))
    },
    purgeComponents: ({ defined = [], dryRun = false, keepContainers = false }) => {
      seen.purges.push({ defined: defined.map(({ name = "" }) => name), dryRun, keep: keepContainers })
      return Effect.succeed(create(pb.PurgeComponentsResponseSchema, { entries: [...purged] }))
    }
  })

const replaced = { component: "web", action: pb.Action.REPLACE, fromImage: "web:v1", toImage: "web:v2" }
const deployed: Service = { service: "shop", outcome: "deployed", deployment: "01JD", plan: [replaced] }
const unchanged = (service: string) => ({ service, outcome: "unchanged" })
const started: Service = { service: "wiki", outcome: "started", plan: [{ component: "web", action: pb.Action.START }] }
const definitions = { shop: toml("shop"), blog: toml("blog") }
const entry: Purge = { service: "shop", component: "old", observed: pb.ObservedState.REMOVED, purged: true }

const lines = (...text: ReadonlyArray<string>) => text.map((line) => `${line}\n`).join("")

describe("sync", () => {
  it.effect("sends each node its own definitions, tells of each service, and sums up", () =>
    Effect.gen(function* () {
      const [rift, orion] = [nothingSeen(), nothingSeen()]
      const ran = yield* mcp(["sync"], {
        agents: {
          rift: syncing([deployed, unchanged("blog")], {}, [], rift),
          orion: syncing([started], {}, [], orion)
        },
        definitions: {
          shop: toml("shop", 'node = "rift"'),
          blog: toml("blog", 'node = "rift"'),
          wiki: toml("wiki", 'node = "orion"')
        }
      })
      assert.deepStrictEqual(
        [ran.code, ran.err, ran.out],
        [
          0,
          "",
          lines(
            "shop on rift: deployed (web replaced)",
            "blog on rift: unchanged",
            "wiki on orion: started (web)",
            "3 services: 1 unchanged, 1 deployed, 1 started"
          )
        ]
      )
      assert.deepStrictEqual(rift.syncs, [{ specs: ["blog", "shop"], dryRun: false }])
      assert.deepStrictEqual(orion.syncs, [{ specs: ["wiki"], dryRun: false }])
    })
  )

  it.effect("asks also a node that no definition is for, and tells what is there beside the definitions", () =>
    Effect.gen(function* () {
      const image = "docker.io/library/web:v1"
      const stray = {
        container: "blog-db",
        containerId: "c1",
        service: "blog",
        component: "db",
        image,
        observed: pb.ObservedState.RUNNING
      }
      const ran = yield* mcp(["sync"], {
        agents: {
          rift: syncing([
            { ...unchanged("shop"), plan: [{ component: "old", action: pb.Action.ORPHAN, why: "no longer defined" }] }
          ]),
          orion: syncing([], { unmanaged: [stray], undefined: ["mail"] })
        },
        definitions: { shop: toml("shop", 'node = "rift"') }
      })
      assert.deepStrictEqual(
        [ran.code, ran.out],
        [
          0,
          lines(
            "shop on rift: unchanged",
            "1 service: 1 unchanged",
            "shop/old on rift is in the definition no more: mcp purge shop/old drops it once it is gone",
            "containers that nothing in a registry explains:",
            "  CONTAINER  NODE   STATE    IMAGE                     ADOPT WITH",
            "  blog-db    orion  running  docker.io/library/web:v1  mcp adopt blog",
            "mail on orion is in no definition: mcp service export mail writes one, mcp undeploy mail removes it"
          )
        ]
      )
    })
  )

  it.effect("with --dry-run shows what would be done, and exits with 0 also where there is something", () =>
    Effect.gen(function* () {
      const seen = nothingSeen()
      const ran = yield* mcp(["sync", "--dry-run", "--quiet"], {
        agents: { rift: syncing([deployed, unchanged("blog")], {}, [], seen) },
        definitions
      })
      assert.deepStrictEqual(
        [ran.code, ran.out],
        [
          0,
          lines(
            "shop on rift: would be deployed",
            "  ~ web  replace    v1 → v2",
            "blog on rift: unchanged",
            "2 services: 1 unchanged, 1 deployed"
          )
        ]
      )
      assert.deepStrictEqual(seen.syncs[0]?.dryRun, true)
    })
  )

  it.effect("sends nothing while a definition is not valid, and says where", () =>
    Effect.gen(function* () {
      const seen = nothingSeen()
      const ran = yield* mcp(["sync"], {
        agents: { rift: syncing([], {}, [], seen) },
        definitions: { shop: toml("shop"), blog: 'name = "blog"\nactive = 3\n' }
      })
      assert.strictEqual(ran.code, 2)
      assert.match(ran.err, /^\/defs\/blog\.toml:2:10: /m)
      assert.match(ran.err, /nothing was sent/)
      assert.deepStrictEqual(seen.syncs, [])
      const none = yield* mcp(["sync"], { agents: { rift: syncing([], {}, [], seen) } })
      assert.strictEqual(none.code, 2)
      assert.include(none.err, "there are no definitions in /defs")
    })
  )

  it.effect("exits with 1 when something failed, with each one's why and next step, and does the rest", () =>
    Effect.gen(function* () {
      const failed: Service = {
        ...{ service: "shop", outcome: "failed", deployment: "01JD", reason: "EXITED_1", component: "web" },
        ...{ message: "web did not become ready: it ended with exit code 1", nextStep: "read the lines above" },
        lastLogs: ["panic: no config"]
      }
      const busy: Service = {
        ...{ service: "wiki", outcome: "busy", reason: "SERVICE_BUSY", message: "a deploy of wiki is under way" },
        nextStep: "wait until that is over"
      }
      const pinned: Service = {
        ...{ service: "mail", outcome: "pinned", reason: "PINNED", message: "it was rolled back from this definition" },
        nextStep: "change the definition, or mcp deploy mail --force"
      }
      const agents = { rift: syncing([failed, busy, pinned, unchanged("blog")]) }
      const ran = yield* mcp(["sync"], { agents, definitions })
      assert.strictEqual(ran.code, 1)
      assert.strictEqual(
        ran.out,
        lines(
          "shop on rift: failed",
          "wiki on rift: busy",
          "mail on rift: skipped, it was rolled back from this definition; change the definition, or mcp deploy mail --force",
          "blog on rift: unchanged",
          "4 services: 1 unchanged, 1 pinned, 1 failed, 1 busy"
        )
      )
      assert.strictEqual(
        ran.err,
        lines(
          "mcp: sync shop failed on rift: web did not become ready: it ended with exit code 1 (EXITED_1)",
          "  last lines of web:",
          "    panic: no config",
          "  now: back to what was there before; mcp status shop shows it",
          "  next: read the lines above",
          "mcp: sync wiki failed on rift: a deploy of wiki is under way",
          "  next: wait until that is over"
        )
      )
      const only = yield* mcp(["sync"], { agents: { rift: syncing([pinned, unchanged("blog")]) }, definitions })
      assert.deepStrictEqual([only.code, only.err], [3, ""])
    })
  )

  it.effect("exits with 5 when all that failed is not allowed", () =>
    Effect.gen(function* () {
      const denied: Service = {
        ...{ service: "shop", outcome: "failed", reason: "PERMISSION_DENIED" },
        message: "ci lacks the verb deploy on shop"
      }
      const ran = yield* mcp(["sync"], { agents: { rift: syncing([denied, unchanged("blog")]) }, definitions })
      assert.strictEqual(ran.code, 5)
      assert.include(ran.err, "mcp: sync shop failed on rift: ci lacks the verb deploy on shop\n")
    })
  )

  it.effect("a node that does not answer hides none of the others and makes exit code 4", () =>
    Effect.gen(function* () {
      const agents = { rift: syncing([deployed]), orion: dead("orion") }
      const both = { shop: toml("shop", 'node = "rift"'), wiki: toml("wiki", 'node = "orion"') }
      const ran = yield* mcp(["sync"], { agents, definitions: both })
      assert.strictEqual(ran.code, 4)
      assert.include(ran.out, "shop on rift: deployed (web replaced)\n")
      assert.include(ran.err, "mcp: orion did not answer: cannot reach orion.example:9444")
      const json = yield* mcp(["sync", "--json"], { agents, definitions: both })
      assert.strictEqual(json.code, 4)
      assert.deepInclude(json.json as object, { not_defined: [], purged: [], unmanaged: [], dry_run: false })
      const { services, unreachable_nodes } = json.json as {
        services: ReadonlyArray<object>
        unreachable_nodes: unknown
      }
      assert.deepInclude(services[0], {
        service: "shop",
        node: "rift",
        outcome: "deployed",
        deployment: "01JD",
        failure: null
      })
      assert.deepInclude((unreachable_nodes as ReadonlyArray<object>)[0], { node: "orion", reason: "NODE_UNREACHABLE" })
    })
  )

  it.effect("an answer that breaks off is a failure: what is left goes on by itself", () =>
    Effect.gen(function* () {
      const lost = agent({
        syncDesiredState: () =>
          Stream.concat(
            Stream.make(
              create(pb.SyncDesiredStateResponseSchema, { event: { case: "service", value: unchanged("blog") } })
            ),
            Stream.fail(unreachable("rift.example:9444"))
          )
      })
      for (const rift of [lost, syncing([unchanged("blog")], null)]) {
        const ran = yield* mcp(["sync"], { agents: { rift }, definitions })
        assert.deepStrictEqual([ran.code, ran.out], [1, lines("blog on rift: unchanged", "1 service: 1 unchanged")])
        assert.include(
          ran.err,
          "broke off with 1 of its services to come; rift goes on by itself\n  next: mcp status\n"
        )
      }
      const booting = new RpcError({
        code: Code.FAILED_PRECONDITION,
        reason: "BOOTING",
        detail: "the agent is booting"
      })
      const refusing = agent({ syncDesiredState: () => Stream.fail(booting) })
      const ran = yield* mcp(["sync"], { agents: { rift: refusing }, definitions })
      assert.strictEqual(ran.code, 1)
      assert.include(ran.err, "mcp: sync failed on rift: the agent is booting")
    })
  )

  it.effect("with --prune drops what is gone and keeps every container; on a terminal it asks once", () =>
    Effect.gen(function* () {
      const seen = nothingSeen()
      const agents = { rift: syncing([unchanged("shop")], {}, [entry], seen) }
      const keep = true
      const ran = yield* mcp(["sync", "--prune"], { agents, definitions })
      assert.strictEqual(ran.code, 0)
      assert.include(ran.out, "shop     old        rift  removed   dropped  its container is gone\n")
      assert.deepStrictEqual(seen.purges, [
        { defined: ["blog", "shop"], dryRun: true, keep },
        { defined: ["blog", "shop"], dryRun: false, keep }
      ])
      seen.purges.length = 0
      const no = yield* mcp(["sync", "--prune"], { agents, definitions, tty: true, answers: ["n"] })
      assert.deepStrictEqual(no.questions, ["Drop shop/old, which is gone and in no definition? [y/N] "])
      assert.include(no.out, "would be dropped")
      const yes = yield* mcp(["sync", "--prune"], { agents, definitions, tty: true, answers: ["y"] })
      assert.lengthOf(yes.questions, 1)
      const dry = yield* mcp(["sync", "--prune", "--dry-run"], { agents, definitions })
      assert.include(dry.out, "would be dropped")
      assert.deepStrictEqual(
        seen.purges.map(({ dryRun }) => dryRun),
        [true, true, false, true]
      )
      const none = yield* mcp(["sync", "--prune"], { agents: { rift: syncing([unchanged("shop")]) }, definitions })
      assert.strictEqual(none.err, "nothing to purge\n")
    })
  )
})

describe("purge", () => {
  const stays: Purge = {
    ...{ service: "shop", component: "cache", observed: pb.ObservedState.RUNNING, purged: false },
    ...{ why: "its container runs", nextStep: "mcp stop shop/cache" }
  }
  const ended: Purge = {
    ...{ service: "shop", component: "job", observed: pb.ObservedState.EXITED, purged: true },
    removedContainer: "shop-job"
  }
  const whole: Purge = { service: "blog", observed: pb.ObservedState.REMOVED, purged: true }

  it.effect("shows what was dropped, and what stays, why, and what to do", () =>
    Effect.gen(function* () {
      const seen = nothingSeen()
      const agents = { rift: syncing([], {}, [entry, ended, stays, whole], seen) }
      const ran = yield* mcp(["purge"], { agents, definitions })
      assert.deepStrictEqual(
        [ran.code, ran.err, ran.out],
        [
          0,
          "",
          lines(
            "SERVICE  COMPONENT  NODE  OBSERVED  ENTRY    WHY",
            "shop     old        rift  removed   dropped  its container is gone",
            "shop     job        rift  exited    dropped  with its container shop-job, which had ended",
            "shop     cache      rift  running   stays    its container runs",
            "blog     -          rift  -         dropped  nothing of it is left",
            "  next for shop/cache: mcp stop shop/cache"
          )
        ]
      )
      assert.deepStrictEqual(seen.purges, [{ defined: ["blog", "shop"], dryRun: false, keep: false }])
      const dry = yield* mcp(["purge", "--dry-run"], { agents, definitions })
      assert.include(dry.out, "would be dropped")
      assert.strictEqual(seen.purges[1]?.dryRun, true)
      const json = yield* mcp(["purge", "--json"], { agents, definitions })
      const { entries } = json.json as { entries: ReadonlyArray<object> }
      assert.deepInclude(entries[3], { service: "blog", component: null, purged: true })
      const none = yield* mcp(["purge"], { agents: { rift: syncing([]) }, definitions })
      assert.deepStrictEqual([none.code, none.out, none.err], [0, "", "nothing to purge\n"])
    })
  )

  it.effect("of a target that stays is a failure; a mistake in another definition is not in its way", () =>
    Effect.gen(function* () {
      const seen = nothingSeen()
      const agents = { rift: syncing([], {}, [stays], seen) }
      const broken = { ...definitions, wiki: "nonsense" }
      const ran = yield* mcp(["purge", "shop/cache"], { agents, definitions: broken })
      assert.strictEqual(ran.code, 1)
      assert.deepStrictEqual(seen.purges[0]?.defined, ["shop"])
      assert.strictEqual((yield* mcp(["purge", "shop/cache", "--dry-run"], { agents, definitions })).code, 0)
      const all = yield* mcp(["purge"], { agents, definitions: broken })
      assert.strictEqual(all.code, 2)
      assert.lengthOf(seen.purges, 2)
    })
  )

  it.effect("finds its target on whichever node has it; one that none has is an error", () =>
    Effect.gen(function* () {
      const missing = new RpcError({
        ...{ code: Code.NOT_FOUND, reason: "SERVICE_NOT_FOUND", detail: "no service named old on this node" },
        service: "old"
      })
      const without = agent({ purgeComponents: () => Effect.fail(missing) })
      const having = { rift: without, orion: syncing([], {}, [{ ...whole, service: "old" }]) }
      const placed = { shop: toml("shop", 'node = "rift"') }
      const ran = yield* mcp(["purge", "old"], { agents: having, definitions: placed })
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      assert.include(ran.out, "old      -          orion  -         dropped  nothing of it is left\n")
      const none = yield* mcp(["purge", "old"], { agents: { rift: without }, definitions: placed })
      assert.deepStrictEqual([none.code, none.out], [1, ""])
      assert.include(none.err, "mcp: purge old failed on rift: no service named old on this node\n")
      const half = yield* mcp(["purge"], {
        agents: { ...having, orion: dead("orion"), rift: syncing([], {}, [whole]) },
        definitions: placed
      })
      assert.strictEqual(half.code, 4)
    })
  )

  it.effect("without any definition says that nothing is wanted", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["purge"], { agents: { rift: syncing([], {}, [whole]) } })
      assert.strictEqual(ran.code, 0)
      assert.strictEqual(ran.err, "warning: there are no definitions in /defs: nothing is wanted\n")
    })
  )
})
