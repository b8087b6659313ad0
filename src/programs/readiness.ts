import { Clock, Effect } from "effect"
import { hostPortOf } from "../domain/Ports.ts"
import { afterProbe, probeReason, unprobed } from "../domain/Probed.ts"
import type { ComponentSpec, Health } from "../domain/Spec.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { Prober } from "../services/Prober.ts"
import { ContainerHealth } from "./ContainerHealth.ts"
import { endOf } from "./endOf.ts"
import { NotReady } from "./ProgramError.ts"
import { type Probing, probe } from "./probe.ts"

/** While a container starts it is probed at least this often, so that a quick program is not waited for. */
const eagerMs = 250
/** Whatever the definition says, there is a pause between two probes. */
const leastMs = 50

/** Without a health check a route's port must accept connections within this time. */
const acceptWithinMs = 30_000

/** `retries` failures in a row, `interval` apart, mean not ready; see `afterProbe` for the start period. */
const healthy = (component: ComponentSpec, health: Health, started: Probing) =>
  Effect.gen(function* () {
    const known = yield* ContainerHealth
    const startedAt = yield* Clock.currentTimeMillis
    yield* known.begin(started.container)
    for (let probed = unprobed; ; ) {
      const result = yield* probe(component, health, started)
      const upMs = (yield* Clock.currentTimeMillis) - startedAt
      probed = afterProbe(probed, result, health, upMs)
      yield* known.set(started.container, probed, result)
      if (probed.state === "healthy") return
      if (probed.state === "unhealthy") {
        return yield* new NotReady({
          component: component.name,
          reason: probeReason(probed.detail),
          why: `its health check failed ${probed.failures} times in a row, last with: ${probed.detail}`
        })
      }
      const starting = upMs < health.startPeriod
      yield* Effect.sleep(Math.max(leastMs, starting ? Math.min(health.interval, eagerMs) : health.interval))
    }
  })

/** Fails when the container ends, unless it is a job (`restart = "no"`) that ends with 0: that is ready. */
const ended = (component: ComponentSpec, container: string) =>
  Effect.gen(function* () {
    const code = yield* (yield* ContainerRuntime).wait(container)
    if (component.restart === "no" && code === 0) return
    const { reason, why } = yield* endOf(container, code)
    return yield* new NotReady({ component: component.name, reason, why })
  })

const accepting = (component: ComponentSpec, { allocated }: Probing) =>
  Effect.gen(function* () {
    const prober = yield* Prober
    const startedAt = yield* Clock.currentTimeMillis
    for (const route of component.routes) {
      const port = hostPortOf(component, route, allocated)
      if (port === undefined) continue
      for (;;) {
        const result = yield* prober.tcp({ host: "127.0.0.1", port }, 2_000)
        if (result.healthy) break
        if ((yield* Clock.currentTimeMillis) - startedAt >= acceptWithinMs) {
          return yield* new NotReady({
            component: component.name,
            reason: "port_refused",
            why: `nothing listens behind its route ${route.name ?? route.port} (${result.detail})`
          })
        }
        yield* Effect.sleep(eagerMs)
      }
    }
  })

const settled = (component: ComponentSpec, started: Probing) =>
  Effect.gen(function* () {
    yield* Effect.sleep(component.settle)
    const now = yield* (yield* ContainerRuntime).inspect(started.container)
    if (now.state !== "running") return yield* ended(component, started.container)
    yield* accepting(component, started)
  })

/** Waits until the started container of `component` is ready: its health check, or up for `settle` without one. */
export const awaitReady = (component: ComponentSpec, started: Probing) =>
  Effect.raceFirst(
    Effect.gen(function* () {
      if (component.health) yield* healthy(component, component.health, started)
      else yield* settled(component, started)
    }),
    ended(component, started.container)
  )
