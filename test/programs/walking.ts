import { assert } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import { hostnameOf, hostPortOf } from "../../src/domain/Ports.ts"
import type { ServiceSpec } from "../../src/domain/Spec.ts"
import { canonicalService } from "../../src/domain/SpecHash.ts"
import { FakeProxyControl } from "../../src/layers/FakeProxy.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { settle, unsettled } from "../../src/programs/boot.ts"
import type { DeployResult } from "../../src/programs/DeployEvent.ts"
import { deploy, planDeploy } from "../../src/programs/deploy.ts"
import { allocatedTo } from "../../src/programs/facts.ts"
import { restart, start, stop, undeploy } from "../../src/programs/lifecycle.ts"
import { purge } from "../../src/programs/purge.ts"
import { rollback } from "../../src/programs/rollback.ts"
import { ServiceLocks } from "../../src/programs/ServiceLocks.ts"
import { sync } from "../../src/programs/sync.ts"
import { Registry } from "../../src/services/Registry.ts"
import { violations } from "../support/invariants.ts"
import { Fuse, wasKilled } from "./crashing.ts"
import { type Act, names, type Step, told, versions } from "./histories.ts"
import { asked, passTime } from "./support.ts"

export const addImages = Effect.gen(function* () {
  const control = yield* FakeRuntimeControl
  for (const name of names) {
    for (const version of versions) {
      const ends = version === "bad" || name === "job"
      const exits = { afterMs: 300, code: version === "bad" ? 1 : 0 }
      yield* control.addImage(`localhost/${name}:${version}`, ends ? { exits } : {})
    }
  }
})

const quiet = () => Effect.void

/** Answers how it ended where it is a deployment. */
const perform = (act: Act) => {
  const target = (component: string | undefined) => ({ service: "shop", component })
  switch (act.kind) {
    case "deploy":
      return deploy({ ...asked(act.spec), components: act.only, force: act.force }, quiet)
    case "rollback":
      return rollback({ service: "shop", to: undefined, noWait: false, wait: false, actor: "ada" }, quiet, quiet)
    case "stop":
      return Effect.as(stop(target(act.component)), undefined)
    case "start":
      return Effect.as(start(target(act.component)), undefined)
    case "restart":
      return Effect.as(restart(target(act.component), "ada"), undefined)
    case "sync":
      return Effect.as(sync({ specs: [act.spec], refused: [], dryRun: false, actor: "ada" }, quiet), undefined)
    case "purge":
      return Effect.as(
        purge({
          ...{ service: undefined, component: undefined, defined: [] },
          ...{ keepContainers: false, dryRun: false, may: () => true }
        }),
        undefined
      )
    case "undeploy":
      return Effect.as(undeploy("shop"), undefined)
  }
}

/** By an agent whose locks are its own, with the clock running past every wait. */
const byAgent = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* passTime(fiber)
    return yield* fiber.await
  }).pipe(Effect.provide(ServiceLocks.Default))

const storedSpec = Effect.gen(function* () {
  return Option.getOrUndefined(yield* (yield* Registry).service("shop"))?.spec
})

const text = (spec: ServiceSpec | undefined) => (spec === undefined ? "gone" : canonicalService(spec))

/** Each container as it is, and what a deploy of this spec would do: what a failed deployment must leave alone. */
const stateOf = (spec: ServiceSpec | undefined) =>
  Effect.gen(function* () {
    const all = yield* (yield* FakeRuntimeControl).containers
    const containers = all.map((c) => `${c.id} ${c.containerName} ${c.imageId} ${c.state}`)
    if (spec === undefined) return containers.sort().join("; ")
    const { components } = yield* planDeploy({ spec, components: [], force: false })
    return [...containers, ...components.map(({ action, component }) => `${component}: ${action}`)].sort().join("; ")
  })

/** The routes that the proxy must have: those of all components that should run and do. */
const routesWanted = Effect.gen(function* () {
  const registry = yield* Registry
  const spec = yield* storedSpec
  const rows = yield* registry.components("shop")
  const ports = yield* registry.ports("shop")
  const all = yield* (yield* FakeRuntimeControl).containers
  const running = new Set(all.filter(({ state }) => state === "running").map(({ id }) => id as string))
  return (spec?.components ?? [])
    .flatMap((component) => {
      const row = rows.find((each) => each.component === component.name)
      if (row?.desired !== "running" || !running.has(row.containerId ?? "")) return []
      const allocated = allocatedTo(ports, row.containerId)
      return component.routes.flatMap((route) => {
        const port = hostPortOf(component, route, allocated)
        return port === undefined ? [] : [`${hostnameOf("shop", route, undefined)}:${route.port} -> 127.0.0.1:${port}`]
      })
    })
    .sort()
})

/** What must be so after anything. */
const checkAlways = (at: string) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    const found = yield* violations("shop", yield* control.networks)
    // `mcp start` does as it is bid, also with a program that ends, and tells that it came no further.
    const bad = (yield* storedSpec)?.components.some(({ image }) => image.endsWith(":bad"))
    const wrong = bad
      ? found.filter(
          (line) =>
            !/ is exited$|'s container is lost$|'s row is of another spec$| runs image .* instead of /.test(line)
        )
      : found
    assert.strictEqual(wrong.join("; "), "", at)
    assert.deepStrictEqual(yield* (yield* FakeProxyControl).routes, yield* routesWanted, at)
  })

interface Before {
  readonly spec: ServiceSpec | undefined
  readonly state: string
  /** What ends again and again is started once more, and may be seen in either state. */
  readonly steady: boolean
}

/** A deployment that was not cut off. */
const checkResult = (act: Act, before: Before, result: DeployResult, at: string) =>
  Effect.gen(function* () {
    if (result.state === "rolled_back") {
      if (before.steady)
        assert.strictEqual(yield* stateOf(before.spec), before.state, `${at}: what failed changes nothing`)
    } else if (act.kind === "deploy" && act.only.length === 0) {
      const done = yield* stateOf(act.spec)
      assert.notMatch(done, /: (create|replace|start)/, `${at}: all is as defined`)
      yield* byAgent(perform({ ...act, force: false }))
      assert.strictEqual(yield* stateOf(act.spec), done, `${at}: said twice it changes nothing`)
    } else if (act.kind === "rollback") yield* checkRollback(at)
  })

/** The spec is the revision's, and so are the images, whatever their names mean by now. */
const checkRollback = (at: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const [latest] = yield* registry.deployments("shop", 1)
    const revision = Option.getOrThrow(yield* registry.deployment(latest?.rollbackTo ?? ""))
    const stored = Option.getOrThrow(yield* registry.service("shop"))
    assert.strictEqual(text({ ...stored.spec, active: true }), text({ ...revision.spec, active: true }), at)
    const rows = new Map((yield* registry.components("shop")).map((row) => [row.component, row.imageId]))
    const steps = new Map((yield* registry.steps(revision.id)).map((step) => [step.component, step.imageId]))
    for (const { name } of revision.spec.components) {
      assert.strictEqual(rows.get(name), steps.get(name), `${at}: ${name}'s image is the revision's`)
    }
  })

/** An agent that was killed: a new one resolves what it left, and the service is wholly old or wholly new. */
const checkKilled = (act: Act, before: Before, at: string) =>
  Effect.gen(function* () {
    for (const service of yield* unsettled) {
      assert.isTrue(Exit.isSuccess(yield* byAgent(settle(service))), `${at}: the new agent settles`)
    }
    const now = text(yield* storedSpec)
    if (act.kind === "undeploy") assert.include([text(before.spec), "gone"], now, at)
    const whole = act.kind === "sync" || (act.kind === "deploy" && act.only.length === 0)
    if (whole) assert.include([text(before.spec), text(act.spec)], now, at)
    // These are no deployments: what was cut off is said again, and then is done.
    if (["stop", "start", "restart", "sync", "purge"].includes(act.kind)) yield* byAgent(perform(act))
  })

/** Goes through a history, and looks after each step. Answers how often the agent was killed. */
export const walk = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    yield* addImages
    const fuse = yield* Fuse
    const control = yield* FakeRuntimeControl
    let kills = 0
    for (const [i, { act, killed }] of steps.entries()) {
      const at = told(steps.slice(0, i + 1))
      const spec = yield* storedSpec
      const steady = !(yield* control.containers).some(({ image }) => image.endsWith(":bad"))
      const before = { spec, steady, state: yield* stateOf(spec) }
      if (killed) yield* fuse.set(killed.call, killed.after)
      const exit = yield* byAgent(perform(act))
      yield* fuse.off
      if (wasKilled(exit)) {
        kills += 1
        yield* checkKilled(act, before, at)
      } else if (Exit.isFailure(exit)) {
        assert.strictEqual(exit.cause._tag, "Fail", `${at}: ${exit.cause}`)
      } else if (exit.value) yield* checkResult(act, before, exit.value, at)
      yield* checkAlways(at)
    }
    return kills
  })
