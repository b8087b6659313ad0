import { Clock, Effect } from "effect"
import { healthProbe } from "../domain/HealthProbe.ts"
import { type Allocated, hostPortOf } from "../domain/Ports.ts"
import type { ComponentSpec, Health } from "../domain/Spec.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ProbeResult, Prober } from "../services/Prober.ts"
import { endOf } from "./endOf.ts"
import { NotReady } from "./ProgramError.ts"

/** While a container starts it is probed at least this often, so that a quick program is not waited for. */
const eagerMs = 250
/** Whatever the definition says, there is a pause between two probes. */
const leastMs = 50

/** Without a health check a route's port must accept connections within this time. */
const acceptWithinMs = 30_000

interface Started {
  readonly container: string
  readonly allocated: Allocated
}

const probeReason = (detail: string) => {
  const status = /^HTTP (\d+)$/.exec(detail)?.[1]
  if (status) return `probe_status_${status}`
  if (detail === "connection refused") return "probe_refused"
  return detail.startsWith("no answer") ? "probe_timeout" : "probe_failed"
}

const probeOnce = (component: ComponentSpec, health: Health, { container, allocated }: Started) =>
  Effect.gen(function* () {
    const probe = healthProbe(component, allocated)
    const prober = yield* Prober
    const runtime = yield* ContainerRuntime
    if (probe === undefined) return { healthy: true, detail: "" }
    switch (probe._tag) {
      case "Http":
        return yield* prober.http(probe, health.timeout)
      case "Tcp":
        return yield* prober.tcp(probe, health.timeout)
      case "Cmd":
        return yield* runtime.exec(container, probe.argv).pipe(
          Effect.map(
            (result): ProbeResult => ({
              healthy: result.exitCode === 0,
              detail: `exit ${result.exitCode}${result.output === "" ? "" : `: ${result.output.trim().split("\n")[0]}`}`
            })
          ),
          Effect.catchTag("RuntimeRefused", (error) => Effect.succeed({ healthy: false, detail: error.why })),
          Effect.timeoutTo({
            duration: health.timeout,
            onTimeout: (): ProbeResult => ({ healthy: false, detail: `no answer within ${health.timeout} ms` }),
            onSuccess: (result) => result
          })
        )
    }
  })

/** Failures count once `start_period` is over; `retries` of them in a row, `interval` apart, mean not ready. */
const healthy = (component: ComponentSpec, health: Health, started: Started) =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    let failures = 0
    for (;;) {
      const result = yield* probeOnce(component, health, started)
      if (result.healthy) return
      const starting = (yield* Clock.currentTimeMillis) - startedAt < health.startPeriod
      failures = starting ? 0 : failures + 1
      if (failures >= health.retries) {
        return yield* new NotReady({
          component: component.name,
          reason: probeReason(result.detail),
          why: `its health check failed ${failures} times in a row, last with: ${result.detail}`
        })
      }
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

const accepting = (component: ComponentSpec, { allocated }: Started) =>
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

const settled = (component: ComponentSpec, started: Started) =>
  Effect.gen(function* () {
    yield* Effect.sleep(component.settle)
    const now = yield* (yield* ContainerRuntime).inspect(started.container)
    if (now.state !== "running") return yield* ended(component, started.container)
    yield* accepting(component, started)
  })

/** Waits until the started container of `component` is ready: its health check, or up for `settle` without one. */
export const awaitReady = (component: ComponentSpec, started: Started) =>
  Effect.raceFirst(
    component.health ? healthy(component, component.health, started) : settled(component, started),
    ended(component, started.container)
  )
