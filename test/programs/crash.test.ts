import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Option, Redacted } from "effect"
import { Labels } from "../../src/domain/Names.ts"
import type { ServiceSpec } from "../../src/domain/Spec.ts"
import { canonicalService } from "../../src/domain/SpecHash.ts"
import { FakeProxyControl } from "../../src/layers/FakeProxy.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { FakeServiceDataControl } from "../../src/layers/FakeServiceData.ts"
import { adopt } from "../../src/programs/adopt.ts"
import { settle, unsettled } from "../../src/programs/boot.ts"
import { bringBack } from "../../src/programs/bringBack.ts"
import { createSnapshot } from "../../src/programs/createSnapshot.ts"
import { deploy } from "../../src/programs/deploy.ts"
import { start, stop, undeploy } from "../../src/programs/lifecycle.ts"
import { purge } from "../../src/programs/purge.ts"
import { restore } from "../../src/programs/restore.ts"
import { rollback } from "../../src/programs/rollback.ts"
import { ServiceLocks } from "../../src/programs/ServiceLocks.ts"
import { sameValue, setSecret } from "../../src/programs/secrets.ts"
import { sync } from "../../src/programs/sync.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"
import { SecretFiles } from "../../src/services/SecretFiles.ts"
import { SecretKey } from "../../src/services/SecretKey.ts"
import { violations } from "../support/invariants.ts"
import { Fuse, fused, wasKilled } from "./crashing.ts"
import { leftBehind } from "./foreign.ts"
import { dataNow, putData } from "./snapshotting.ts"
import { asked, deployed, node, passTime, specOf } from "./support.ts"

/** Three components: one handed over by its route, one that must stop first, one that both stay with. */
const mixed = (version: string, change: Record<string, unknown> = {}) =>
  specOf({
    name: "shop",
    components: [
      { name: "web", image: `localhost/web:${version}`, routes: [{ port: 443, target: 80, hostname: "shop.example" }] },
      { name: "db", image: `localhost/db:${version}`, volumes: ["/srv/shop/db:/db"], depends_on: ["cache"] },
      { name: "cache", image: "localhost/cache:1" }
    ],
    ...change
  })
/** Containers do not tell in which order the definition had them. */
const sorted = (spec: ServiceSpec): ServiceSpec => {
  const [first, ...rest] = [...spec.components].sort((a, b) => (a.name < b.name ? -1 : 1))
  return first ? { ...spec, components: [first, ...rest] } : spec
}
const one = (order: string, version: string) =>
  specOf({
    name: "shop",
    components: [
      {
        name: "web",
        image: `localhost/web:${version}`,
        update_order: order,
        routes: [{ port: 443, hostname: "shop.example" }]
      }
    ]
  })

/** `make fault` kills at every single call. */
const stride = process.env.MCP_FAULT === "full" ? 1 : 10

const images = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  for (const name of ["web", "db", "cache"]) {
    for (const version of ["1", "2"]) yield* control.addImage(`localhost/${name}:${version}`)
    yield* control.addImage(`localhost/${name}:bad`, { exits: { afterMs: 300, code: 1 } })
  }
})

/** With the clock running past every wait. */
const through = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* passTime(fiber)
    return yield* fiber.await
  })

const quiet = () => Effect.void
const syncing = (spec: ServiceSpec) => sync({ specs: [spec], refused: [], dryRun: false, actor: "ada" }, quiet)

/** A new agent on the same node: locks are its own, rows and containers are what the old one left. */
const newAgent = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, ServiceLocks.Default)

type Needed = Effect.Effect.Context<ReturnType<typeof deploy>> | Effect.Effect.Context<ReturnType<typeof restore>>

const set = (text: string) =>
  setSecret({ service: "shop", secret: "db", value: Redacted.make<Uint8Array>(Buffer.from(text)), actor: "ada" })
/** One container is handed over, the other stops first; both read a secret. */
const reading = specOf({
  name: "shop",
  components: [
    {
      ...{ name: "web", image: "localhost/web:1", secrets: ["db"] },
      routes: [{ port: 443, target: 80, hostname: "shop.example" }]
    },
    { name: "db", image: "localhost/db:1", volumes: ["/srv/shop/db:/db"], secrets: ["db"] }
  ]
})

/** Each container has the files of its row's versions, and there are no others. */
const wrongFiles = Effect.gen(function* () {
  const registry = yield* Registry
  const files = yield* SecretFiles
  const key = yield* SecretKey
  const kept = yield* registry.secrets("shop")
  const found: Array<string> = []
  const rows = (yield* registry.components("shop")).filter(({ secrets }) => Object.keys(secrets).length > 0)
  for (const of of rows) {
    for (const [secret, version] of Object.entries(of.secrets)) {
      const row = kept.find((each) => each.secret === secret && each.version === version)
      const value = row?.ciphertext === undefined ? undefined : yield* key.unseal(row, row.ciphertext)
      const file = Option.getOrUndefined(yield* files.read(of, secret))
      if (value === undefined || file === undefined || !sameValue(value, file)) {
        found.push(`${of.component} has not version ${version} of ${secret}`)
      }
    }
  }
  for (const { component, generation } of yield* files.generations("shop")) {
    if (!rows.some((row) => row.component === component && row.generation === generation)) {
      found.push(`files of ${component}, generation ${generation}, are left over`)
    }
  }
  return found
})

interface Kind {
  readonly name: string
  readonly before: ReadonlyArray<ServiceSpec>
  /** The service that a lost registry left behind. It is no deployment: said again it is done. */
  readonly lost?: ServiceSpec
  /** What is done before all. */
  readonly first?: Effect.Effect<unknown, unknown, Needed>
  readonly act: Effect.Effect<unknown, unknown, Needed>
  /** What the service may be afterwards; undefined: gone. */
  readonly may: ReadonlyArray<ServiceSpec | undefined>
}

const kinds: ReadonlyArray<Kind> = [
  { name: "create", before: [], act: deploy(asked(mixed("1")), quiet), may: [undefined, mixed("1")] },
  {
    name: "stop-first",
    before: [one("stop-first", "1")],
    act: deploy(asked(one("stop-first", "2")), quiet),
    may: [one("stop-first", "1"), one("stop-first", "2")]
  },
  {
    name: "start-first",
    before: [one("start-first", "1")],
    act: deploy(asked(one("start-first", "2")), quiet),
    may: [one("start-first", "1"), one("start-first", "2")]
  },
  {
    name: "mixed, three components",
    before: [mixed("1")],
    act: deploy(asked(mixed("2")), quiet),
    may: [mixed("1"), mixed("2")]
  },
  { name: "a version that fails", before: [mixed("1")], act: deploy(asked(mixed("bad")), quiet), may: [mixed("1")] },
  {
    name: "rollback",
    before: [mixed("1"), mixed("2")],
    act: rollback({ service: "shop", to: undefined, noWait: false, wait: false, actor: "ada" }, quiet, quiet),
    may: [mixed("1"), mixed("2")]
  },
  {
    name: "a sync that changes the spec",
    before: [one("start-first", "1")],
    act: syncing(one("start-first", "2")),
    may: [one("start-first", "1"), one("start-first", "2")]
  },
  {
    name: "a secret that is set anew, and a deploy that brings it",
    first: set("a"),
    before: [reading],
    act: Effect.zipRight(set("b"), deploy(asked(reading), quiet)),
    may: [reading]
  },
  {
    name: "an undeploy of what has secrets",
    first: set("a"),
    before: [reading],
    act: undeploy("shop"),
    may: [undefined, reading]
  },
  { name: "undeploy", before: [mixed("1")], act: undeploy("shop"), may: [undefined, mixed("1")] },
  {
    name: "adopt",
    before: [],
    lost: mixed("1"),
    act: adopt({ service: "shop", dryRun: false, actor: "ada" }, () => Effect.void),
    may: [sorted(mixed("1"))]
  }
]

/** Brings the node to where the act begins, kills the agent at `call`, starts a new one; answers whether it was killed. */
const round = (kind: Kind, call: number, after: boolean) =>
  Effect.gen(function* () {
    yield* images
    const control = yield* FakeRuntimeControl
    const fuse = yield* Fuse
    if (kind.first) yield* newAgent(kind.first)
    for (const spec of kind.before) yield* newAgent(deployed(spec))
    if (kind.lost) yield* leftBehind(kind.lost)
    if (kind.lost) yield* (yield* ContainerRuntime).rename("shop-db", "shop-db.prev")
    const startedAt = Effect.map(control.containers, (all) => all.map((c) => `${c.id} ${c.state} ${c.startedAt}`))
    const untouched = yield* startedAt
    yield* fuse.set(call, after)
    const exit = yield* through(newAgent(kind.act))
    yield* fuse.off
    const recovered = yield* newAgent(
      Effect.gen(function* () {
        for (const service of yield* unsettled) {
          const settled = yield* through(settle(service))
          assert.isTrue(Exit.isSuccess(settled), `call ${call}: the new agent settles`)
        }
      })
    ).pipe(Effect.exit)
    const at = `${kind.name}, killed ${after ? "after" : "before"} call ${call}`
    assert.isTrue(Exit.isSuccess(recovered), at)
    if (kind.lost) {
      assert.isTrue(Exit.isSuccess(yield* through(newAgent(kind.act))), at)
      assert.deepStrictEqual(yield* startedAt, untouched, at)
    }
    assert.deepStrictEqual(yield* violations("shop", yield* control.networks), [], at)
    assert.deepStrictEqual(yield* wrongFiles, [], at)
    const stored = Option.getOrUndefined(yield* (yield* Registry).service("shop"))?.spec
    const text = (spec: ServiceSpec | undefined) => (spec === undefined ? "gone" : canonicalService(spec))
    assert.include(kind.may.map(text), text(stored), at)
    const routes = yield* (yield* FakeProxyControl).routes
    const [port] = (yield* (yield* Registry).ports("shop")).map((row) => `shop.example:443 -> 127.0.0.1:${row.port}`)
    assert.deepStrictEqual(routes, port === undefined ? [] : [port], at)
    return wasKilled(exit)
  }).pipe(Effect.provide(fused(node())))

describe("an agent killed at any call of a deployment leaves the service wholly old or wholly new", () => {
  for (const kind of kinds) {
    it.effect(
      kind.name,
      () =>
        Effect.gen(function* () {
          for (const after of [false, true]) {
            let call = after ? 2 : 1
            while (yield* round(kind, call, after)) call += stride
            // Fewer would mean that the fuse is not where the work is.
            assert.isAbove(call, 10)
          }
        }),
      600_000
    )
  }
})

/** What is no deployment: one that was cut off is to be said again, and then is done. */
interface Again {
  readonly name: string
  readonly before: ReadonlyArray<ServiceSpec>
  /** What happens outside of MCP, or is done first. */
  readonly meanwhile: Effect.Effect<unknown, unknown, Needed | FakeRuntimeControl>
  readonly act: Effect.Effect<unknown, unknown, Needed>
  /** What has come of it. */
  readonly outcome?: Effect.Effect<void, unknown, Needed>
  /** The calls that there are at least. */
  readonly calls: number
  /** The components that run in the end, and whether the service is still known. */
  readonly running: ReadonlyArray<string>
  readonly known: boolean
}

const removedByHand = (...containers: ReadonlyArray<string>) =>
  Effect.forEach(containers, (container) => Effect.flatMap(ContainerRuntime, (runtime) => runtime.remove(container)))
const ofShop = { service: "shop", component: undefined }
const purging = (...defined: ReadonlyArray<ServiceSpec>) =>
  purge({
    ...{ ...ofShop, service: undefined, keepContainers: false, dryRun: false, may: () => true },
    defined: defined.map(({ components, name }) => ({ name, components: components.map((c) => c.name) }))
  })
const withoutDb = (version: string) => {
  const [web, , cache] = mixed(version).components
  return { ...mixed(version), components: [web, ...(cache ? [cache] : [])] as const }
}

const isB = Effect.gen(function* () {
  const [newest] = yield* (yield* Registry).secrets("shop")
  assert.strictEqual(newest?.version, 2)
  assert.isFalse((yield* set("b")).changed)
})

const saidAgain: ReadonlyArray<Again> = [
  {
    ...{ name: "a secret set", before: [mixed("1")], calls: 4, known: true, running: ["cache", "db", "web"] },
    ...{ meanwhile: set("a"), act: set("b"), outcome: isB }
  },
  {
    ...{ name: "a start of what was removed by hand", before: [one("stop-first", "1")], calls: 5, known: true },
    ...{ meanwhile: removedByHand("shop-web"), act: start({ ...ofShop, component: "web" }), running: ["web"] }
  },
  {
    ...{ name: "a sync that starts", before: [mixed("1")], calls: 10, known: true, running: ["cache", "db", "web"] },
    meanwhile: Effect.zipRight(stop({ ...ofShop, component: "db" }), removedByHand("shop-web")),
    act: syncing(mixed("1"))
  },
  {
    ...{ name: "a sync that stops", before: [mixed("1")], calls: 10, known: true, running: [] },
    ...{ meanwhile: Effect.void, act: syncing(mixed("1", { active: false })) }
  },
  {
    ...{ name: "a purge of what is defined no more", before: [mixed("1"), withoutDb("1")], calls: 10, known: true },
    meanwhile: Effect.flatMap(FakeRuntimeControl, (control) => control.kill("shop-db", 0)),
    ...{ act: purging(withoutDb("1")), running: ["cache", "web"] }
  },
  {
    ...{ name: "a purge of what was removed by hand before a deploy", before: [mixed("1")], calls: 10, known: true },
    ...{ meanwhile: removedByHand("shop-db"), act: purging(withoutDb("1")), running: ["cache", "web"] }
  },
  {
    ...{ name: "a purge of a whole service", before: [mixed("1")], calls: 10, known: false, running: [] },
    meanwhile: Effect.zipRight(
      removedByHand("shop-db", "shop-web"),
      Effect.flatMap(FakeRuntimeControl, (control) => control.kill("shop-cache", 0))
    ),
    act: purging()
  }
]

/** Kills the agent at `call`; a new one settles, and does the same once more. Answers whether it was killed. */
const againRound = (kind: Again, call: number, after: boolean) =>
  Effect.gen(function* () {
    yield* images
    const control = yield* FakeRuntimeControl
    const fuse = yield* Fuse
    for (const spec of kind.before) yield* newAgent(deployed(spec))
    yield* through(newAgent(kind.meanwhile))
    yield* fuse.set(call, after)
    const exit = yield* through(newAgent(kind.act))
    yield* fuse.off
    const at = `${kind.name}, killed ${after ? "after" : "before"} call ${call}`
    yield* newAgent(
      Effect.gen(function* () {
        for (const service of yield* unsettled) yield* through(settle(service))
      })
    )
    assert.isTrue(Exit.isSuccess(yield* through(newAgent(kind.act))), at)
    assert.deepStrictEqual(yield* violations("shop", yield* control.networks), [], at)
    if (kind.outcome) yield* newAgent(kind.outcome)
    const containers = yield* control.containers
    const running = containers.filter(({ state }) => state === "running").map((c) => c.labels[Labels.component])
    assert.deepStrictEqual(running.sort(), [...kind.running], at)
    const registry = yield* Registry
    assert.strictEqual(Option.isSome(yield* registry.service("shop")), kind.known, at)
    const ports = yield* registry.ports("shop")
    const serving = ports.filter(({ component }) => kind.running.includes(component))
    const routes = serving.map((row) => `shop.example:443 -> 127.0.0.1:${row.port}`)
    assert.deepStrictEqual(yield* (yield* FakeProxyControl).routes, routes, at)
    return wasKilled(exit)
  }).pipe(Effect.provide(fused(node())))

describe("an act that is no deployment is done once it is said again, wherever the agent was killed", () => {
  for (const kind of saidAgain) {
    it.effect(
      kind.name,
      () =>
        Effect.gen(function* () {
          for (const after of [false, true]) {
            let call = after ? 2 : 1
            while (yield* againRound(kind, call, after)) call += stride
            assert.isAbove(call, kind.calls)
          }
        }),
      600_000
    )
  }
})

/** Kills the agent at `call` of bringing back what podman has lost, or what a reboot has stopped; a new agent goes on. */
const backRound = (how: "lose" | "reboot", call: number, after: boolean) =>
  Effect.gen(function* () {
    yield* images
    const control = yield* FakeRuntimeControl
    const fuse = yield* Fuse
    yield* newAgent(deployed(mixed("1")))
    const ports = yield* (yield* Registry).ports("shop")
    yield* control[how]
    const back = bringBack("shop", { byHand: false, readyWithin: "60 seconds", actor: "" })
    yield* fuse.set(call, after)
    const exit = yield* through(newAgent(back))
    yield* fuse.off
    const at = `${how}, killed ${after ? "after" : "before"} call ${call}`
    const again = yield* through(newAgent(back))
    assert.isTrue(Exit.isSuccess(again), at)
    assert.deepStrictEqual(yield* violations("shop", yield* control.networks), [], at)
    const row = (yield* (yield* Registry).ports("shop")).map(({ port }) => `shop.example:443 -> 127.0.0.1:${port}`)
    assert.deepStrictEqual(yield* (yield* FakeProxyControl).routes, row, at)
    // A port that a container had that was cut off half-made is given back, and another may be taken for it.
    if (how === "reboot") assert.deepStrictEqual(yield* (yield* Registry).ports("shop"), ports, at)
    return wasKilled(exit)
  }).pipe(Effect.provide(fused(node())))

it.effect(
  "an agent killed at any call of a recovery leaves nothing that the next one does not bring back",
  () =>
    Effect.gen(function* () {
      for (const how of ["lose", "reboot"] as const) {
        for (const after of [false, true]) {
          let call = after ? 2 : 1
          while (yield* backRound(how, call, after)) call += stride
          assert.isAbove(call, 10)
        }
      }
    }),
  600_000
)

const snapshotOf = { service: "shop", snapshot: undefined, actor: "ada", wait: false, keep: undefined }

/** All three run; one of them cannot on the data of the snapshot, where that is asked for. */
const restoreRound = (what: "snapshot" | "restore" | "restore that fails", call: number, after: boolean) =>
  Effect.gen(function* () {
    yield* images
    const control = yield* FakeRuntimeControl
    const fuse = yield* Fuse
    yield* newAgent(deployed(mixed("1")))
    yield* putData("one")
    yield* newAgent(createSnapshot(snapshotOf, quiet))
    yield* putData("two")
    const data = yield* FakeServiceDataControl
    if (what === "restore that fails") {
      const bad = () => Effect.runSync(data.files("shop"))["a.db"] === "one"
      yield* control.program("localhost/web:1", () => (bad() ? { exits: { afterMs: 300, code: 1 } } : {}))
    }
    yield* fuse.set(call, after)
    const act: Effect.Effect<unknown, unknown, Needed> =
      what === "snapshot" ? createSnapshot(snapshotOf, quiet) : restore(snapshotOf, quiet)
    const exit = yield* through(newAgent(act))
    yield* fuse.off
    const at = `${what}, killed ${after ? "after" : "before"} call ${call}`
    const left = Option.fromNullable((yield* (yield* Registry).restores)[0])
    yield* newAgent(
      Effect.gen(function* () {
        for (const service of yield* unsettled) {
          assert.isTrue(Exit.isSuccess(yield* through(settle(service))), at)
        }
        yield* through(bringBack("shop", { byHand: false, readyWithin: "60 seconds", actor: "" }))
      })
    )
    assert.deepStrictEqual(yield* violations("shop", yield* control.networks), [], at)
    assert.deepStrictEqual(yield* data.litter, [], at)
    assert.deepStrictEqual(yield* (yield* Registry).restores, [], at)
    const text = (yield* dataNow)["a.db"]
    if (what === "restore") assert.include(["one", "two"], text, at)
    else assert.strictEqual(text, "two", at)
    // Where it did not get to its end, what was there before is back.
    const done = Option.match(left, { onNone: () => "none", onSome: ({ state }) => state })
    if (["staging", "replacing", "starting"].includes(done)) assert.strictEqual(text, "two", at)
    if (done === "succeeded") assert.strictEqual(text, "one", at)
    const routes = yield* (yield* FakeProxyControl).routes
    const [port] = (yield* (yield* Registry).ports("shop")).map((row) => `shop.example:443 -> 127.0.0.1:${row.port}`)
    assert.deepStrictEqual(routes, port === undefined ? [] : [port], at)
    // It can be worked with.
    yield* newAgent(createSnapshot(snapshotOf, quiet))
    return wasKilled(exit)
  }).pipe(Effect.provide(fused(node())))

describe("an agent killed at any call leaves a service's data wholly old or wholly new, and what ran runs", () => {
  for (const what of ["snapshot", "restore", "restore that fails"] as const) {
    it.effect(
      what,
      () =>
        Effect.gen(function* () {
          for (const after of [false, true]) {
            let call = after ? 2 : 1
            while (yield* restoreRound(what, call, after)) call += stride === 1 ? 1 : 2 * stride
            assert.isAbove(call, what === "snapshot" ? 8 : 30)
          }
        }),
      600_000
    )
  }
})
