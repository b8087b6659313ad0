import { Clock, Effect, FiberMap, Option, Random } from "effect"
import { afterProbe, type Probed, unprobed } from "../domain/Probed.ts"
import type { ComponentSpec, Health } from "../domain/Spec.ts"
import type { Container } from "../services/ContainerRuntime.ts"
import { Registry } from "../services/Registry.ts"
import { ContainerHealth } from "./ContainerHealth.ts"
import { allocatedTo } from "./facts.ts"
import { follow } from "./follow.ts"
import { type Probing, probe } from "./probe.ts"
import { RuntimeFeed } from "./RuntimeFeed.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

/** Each runs a process in a container, through podman: more at once would only make one another late. */
const commandsAtOnce = 4

interface Checked extends Probing {
  readonly service: string
  readonly component: ComponentSpec
  readonly health: Health
  readonly startedAt: number
}

/** A container that was started again is another one: what was known of it no longer holds. */
const keyOf = ({ component, container, service, startedAt }: Checked) =>
  `${service}/${component.name} ${container} ${startedAt}`

/** The containers that run, should run, and have a health check. */
const findChecked = (only: string | undefined, containers: ReadonlyArray<Container>) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const byId = new Map(containers.map((container) => [container.id, container]))
    const services = new Map((yield* registry.services).map((row) => [row.service, row]))
    const ports = yield* registry.ports(only)
    return (yield* registry.components(only)).flatMap((row): ReadonlyArray<Checked> => {
      const service = services.get(row.service)
      const component = service?.spec.components.find(({ name }) => name === row.component)
      const container = byId.get(row.containerId ?? "")
      if (!component?.health || service?.undeploying || row.desired !== "running") return []
      if (container?.state !== "running") return []
      const { id, startedAt = 0 } = container
      const allocated = allocatedTo(ports, id)
      return [{ service: row.service, component, health: component.health, container: id, startedAt, allocated }]
    })
  })

const told = (before: Probed, after: Probed) =>
  before.state === after.state
    ? Effect.void
    : after.state === "unhealthy"
      ? Effect.logWarning("a component is unhealthy").pipe(Effect.annotateLogs({ why: after.detail }))
      : Effect.logInfo("a component is healthy")

/** Probes one container for as long as it runs. */
const check = (checked: Checked, commands: Effect.Semaphore) =>
  Effect.gen(function* () {
    const known = yield* ContainerHealth
    const locks = yield* ServiceLocks
    const { component, container, health, service, startedAt } = checked
    const turn = health.cmd === undefined ? <A>(a: A) => a : commands.withPermits(1)
    // One that has just become ready was probed then. Others begin apart, so that a new agent does not probe all at once.
    const isKnown = Option.isSome(yield* known.of(container))
    yield* Effect.sleep(isKnown ? health.interval : yield* Random.nextIntBetween(0, Math.min(health.interval, 1_000)))
    for (;;) {
      // While an act stops or replaces it, a failed probe says nothing about the program.
      if (yield* locks.lets(service, container)) {
        const result = yield* Effect.option(turn(probe(component, health, checked)))
        if (Option.isSome(result) && (yield* locks.lets(service, container))) {
          const before = Option.getOrElse(yield* known.of(container), () => unprobed)
          const upMs = (yield* Clock.currentTimeMillis) - startedAt
          const after = afterProbe(before, result.value, health, upMs)
          yield* known.set(container, after, result.value)
          yield* told(before, after)
        }
      }
      yield* Effect.sleep(health.interval)
    }
  }).pipe(Effect.annotateLogs({ service: checked.service, component: checked.component.name }))

/** Carries out the health checks of what runs, of all services, as long as its scope lasts. */
export const superviseHealth = Effect.gen(function* () {
  const feed = yield* RuntimeFeed
  const known = yield* ContainerHealth
  const locks = yield* ServiceLocks
  const checks = yield* FiberMap.make<string>()
  const commands = Effect.unsafeMakeSemaphore(commandsAtOnce)

  const bring = (only: string | undefined) =>
    Effect.gen(function* () {
      // Its containers are looked at once the act is over.
      if (only !== undefined && Option.isSome(yield* locks.holder(only))) return
      const containers = yield* feed.containers
      const wanted = new Map((yield* findChecked(only, [...containers.values()])).map((each) => [keyOf(each), each]))
      for (const [key] of checks) {
        if (wanted.has(key) || (only !== undefined && !key.startsWith(`${only}/`))) continue
        yield* FiberMap.remove(checks, key)
        yield* known.forget(key.split(" ")[1] ?? "")
      }
      if (only === undefined) yield* known.keep(new Set(containers.keys()))
      for (const [key, each] of wanted) {
        if (!(yield* FiberMap.has(checks, key))) yield* FiberMap.run(checks, key, check(each, commands))
      }
    })

  yield* follow((only) =>
    Effect.catchAllCause(bring(only), (cause) => Effect.logWarning("health checks are looked at again later", cause))
  )
})
