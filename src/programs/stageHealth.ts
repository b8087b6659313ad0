import { Clock, Effect, Option } from "effect"
import type { BootStage } from "../domain/AgentConfig.ts"
import { tcpTargets } from "../domain/HealthProbe.ts"
import { hostPortOf } from "../domain/Ports.ts"
import { dueOf } from "../domain/Restart.ts"
import type { ComponentSpec } from "../domain/Spec.ts"
import { Prober } from "../services/Prober.ts"
import { Registry } from "../services/Registry.ts"
import { allocatedTo, gather } from "./facts.ts"
import { type Probing, probe } from "./probe.ts"
import { restartsOf } from "./restarts.ts"

const timeoutMs = 2_000

/** By the definition: its own health check, or up for `settle` and accepting connections behind its routes. */
const byDefinition = (component: ComponentSpec, at: Probing, startedAt: number | undefined) =>
  Effect.gen(function* () {
    if (component.health) return yield* probe(component, component.health, at)
    const upMs = (yield* Clock.currentTimeMillis) - (startedAt ?? 0)
    if (upMs < component.settle) return { healthy: false, detail: "just started" }
    const prober = yield* Prober
    for (const route of component.routes) {
      const port = hostPortOf(component, route, at.allocated)
      const found = port === undefined ? undefined : yield* prober.tcp({ host: "127.0.0.1", port }, timeoutMs)
      if (found && !found.healthy) return found
    }
    return { healthy: true, detail: "" }
  })

const answers = (word: BootStage["health"], component: ComponentSpec, at: Probing, startedAt: number | undefined) =>
  Effect.gen(function* () {
    const prober = yield* Prober
    const targets = tcpTargets(component, at.allocated)
    if (word === "component" || targets.length === 0) return yield* byDefinition(component, at, startedAt)
    const results = yield* Effect.forEach(
      targets,
      (target) => (word === "tcp" ? prober.tcp(target, timeoutMs) : prober.serves(word, target, timeoutMs)),
      { concurrency: "unbounded" }
    )
    const bad = results.find(({ healthy }) => !healthy) ?? { healthy: true, detail: "" }
    // A port may be for something else; that all accept is another matter.
    return word === "tcp" ? bad : (results.find(({ healthy }) => healthy) ?? bad)
  })

/** Why a service of a boot stage is not up; none when it is, or when nothing of it is to run. */
export const notUp = (service: string, word: BootStage["health"]) =>
  Effect.gen(function* () {
    const facts = yield* gather(service)
    const restarts = yield* (yield* Registry).restarts
    const now = yield* Clock.currentTimeMillis
    if (facts.service === undefined || facts.service.undeploying) return Option.none<string>()
    for (const component of facts.service.spec.components) {
      const row = facts.rows.get(component.name)
      if (row?.desired !== "running") continue
      const container = facts.current.get(component.name)
      if (dueOf(component.restart, container, restartsOf(restarts, row), now).act === "rest") continue
      if (container?.state !== "running") return Option.some(`${service}/${component.name} does not run`)
      const at = { container: container.id, allocated: allocatedTo(facts.ports, container.id) }
      const { detail, healthy } = yield* answers(word, component, at, container.startedAt)
      if (!healthy) return Option.some(`${service}/${component.name}: ${detail}`)
    }
    return Option.none<string>()
  })
