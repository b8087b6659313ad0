import { Clock, Effect, FiberMap, Option } from "effect"
import type { Drift } from "../../domain/Drift.ts"
import { targetOf } from "../../domain/Names.ts"
import { backoff } from "../../domain/Restart.ts"
import { ContainerRuntime } from "../../services/ContainerRuntime.ts"
import { Registry } from "../../services/Registry.ts"
import { discard, revive } from "../containers.ts"
import { gather } from "../facts.ts"
import { noteFailure } from "../noteFailure.ts"
import type { Live } from "../observe.ts"
import { routesTo } from "../oneComponent.ts"
import { ServiceLocks } from "../ServiceLocks.ts"

/** What no restart policy covers. What ended by itself is the policy's, and what is unhealthy is for people to see to. */
const healable: ReadonlySet<Drift> = new Set(["missing", "image", "running"])

/** How long a component has to be as it should before the next pause is the first one again. */
const steadyMs = backoff.steadyMs

/** Never beside an act that lets a container serve: what is healed may be removed. */
const noContainer = ""

interface Healing {
  readonly delayMs: number
  readonly at: number
}

const keyOf = ({ component, service }: Pick<Live, "component" | "service">) => targetOf(service, component)

/** Looked at again under the lock: another act may have changed what should be, or have done it already. */
const heal = (one: Live) =>
  Effect.gen(function* () {
    const { component, service } = one
    const registry = yield* Registry
    const runtime = yield* ContainerRuntime
    const stored = Option.getOrUndefined(yield* registry.service(service))
    const facts = yield* gather(service)
    const row = facts.rows.get(component)
    const spec = stored?.spec.components.find(({ name }) => name === component)
    if (!stored || !spec || !row || stored.undeploying) return
    const current = facts.current.get(component)
    const done = (to: string, message: string) =>
      registry.recordEvent({ service, component, kind: "heal", from: "", to, message, actor: "" })
    if (row.desired === "stopped") {
      if (current?.state !== "running") return
      yield* runtime.stop(current.id, spec.stopTimeout)
      yield* registry.setObserved(service, component, "stopped")
      return yield* done("stopped", "it ran, and should not")
    }
    if (row.desired !== "running") return
    const otherImage = current !== undefined && row.imageId !== undefined && current.imageId !== row.imageId
    if (current !== undefined && !otherImage) return
    if (current !== undefined) yield* discard(current.id)
    yield* revive(stored, spec, otherImage ? yield* gather(service) : facts)
    yield* registry.setObserved(service, component, "running")
    yield* done("running", otherImage ? "it ran another image" : "its container was gone")
    yield* routesTo(stored, [spec])
  }).pipe(
    Effect.tapError((error) =>
      Effect.zipRight(
        Effect.logWarning("healing failed and will be tried again").pipe(Effect.annotateLogs({ why: error.message })),
        noteFailure(
          { service: one.service, component: one.component, kind: "heal", from: "", to: "failed", actor: "" },
          error
        )
      )
    )
  )

/** Undoes drift with growing pauses, until a component flaps; then it gives up, until an operator has acted on it. */
export const makeHealer = (settings: { readonly heal: boolean }, look: (service: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const locks = yield* ServiceLocks
    const pending = yield* FiberMap.make<string>()
    const healings = new Map<string, Healing>()
    const givenUp = new Set<string>()

    const again = (key: string, now: number) => {
      const last = healings.get(key)
      const steady = last === undefined || now - last.at >= steadyMs + last.delayMs
      return steady ? backoff.firstMs : Math.min(backoff.mostMs, last.delayMs * 2)
    }

    return {
      /** Heals it after a pause, if there is something to heal and nothing else is pending. */
      consider: (one: Live) =>
        Effect.gen(function* () {
          const key = keyOf(one)
          if (!settings.heal) return
          if (!one.drift.some((kind) => healable.has(kind))) return yield* FiberMap.remove(pending, key)
          if (givenUp.has(key) || (yield* FiberMap.has(pending, key))) return
          const now = yield* Clock.currentTimeMillis
          const delayMs = again(key, now)
          healings.set(key, { delayMs, at: now })
          const act = locks.automatically(one.service, noContainer, "a heal")(heal(one))
          yield* FiberMap.run(
            pending,
            key,
            Effect.delay(act, delayMs).pipe(
              Effect.catchAllCause(() => Effect.void),
              // What is still so is tried again, later.
              Effect.ensuring(look(one.service)),
              Effect.annotateLogs({ service: one.service, component: one.component })
            )
          )
        }),
      /** Whether it is given up now, for the first time. */
      givesUp: (one: Live, flapping: boolean) =>
        Effect.gen(function* () {
          const key = keyOf(one)
          if (!settings.heal || !flapping || givenUp.has(key) || !healings.has(key)) return false
          givenUp.add(key)
          yield* FiberMap.remove(pending, key)
          return true
        }),
      reset: (service: string) => {
        for (const key of [...givenUp, ...healings.keys()]) {
          if (!key.startsWith(`${service}/`)) continue
          givenUp.delete(key)
          healings.delete(key)
        }
      }
    }
  })
