import { Clock, type Duration, Effect, Stream } from "effect"
import { ContainerRuntime, type ContainerUse } from "../services/ContainerRuntime.ts"
import { Registry } from "../services/Registry.ts"
import { findService } from "./findService.ts"
import { ComponentNotFound } from "./ProgramError.ts"
import { type Live, live } from "./report.ts"

export interface Used {
  readonly live: Live
  /** Of one core, since the look before; 0 where there was none. */
  readonly cpuPercent: number
  /** Undefined when it does not run. */
  readonly use: ContainerUse | undefined
}

/** What components use at one moment, in milliseconds since the epoch. */
export interface Look {
  readonly at: number
  readonly components: ReadonlyArray<Used>
}

/** The first look is a short one: what a container has used since its start tells nothing of now. */
const first: Duration.DurationInput = "500 millis"

const percent = (now: ContainerUse, before: ContainerUse | undefined) => {
  const nanos = before === undefined ? 0 : now.atNanos - before.atNanos
  // A container that was started again counts from zero.
  return nanos <= 0 ? 0 : Math.max(0, ((now.cpuNanos - (before?.cpuNanos ?? 0)) / nanos) * 100)
}

const runs = ({ observed }: Live) => observed === "running" || observed === "unhealthy"

export interface Wanted {
  /** Undefined: all of them. */
  readonly service: string | undefined
  readonly component: string | undefined
  /** Which services the caller may see. */
  readonly sees: (service: string) => boolean
}

const known = ({ component, service }: Wanted) =>
  Effect.gen(function* () {
    if (service === undefined) return
    yield* findService(service)
    const names = (yield* (yield* Registry).components(service)).map((row) => row.component)
    if (component !== undefined && !names.includes(component)) {
      return yield* new ComponentNotFound({ service, component, known: names })
    }
  })

/** What components use, look after look; only containers that a row names are looked at. */
export const stats = (wanted: Wanted, interval: Duration.DurationInput) =>
  Stream.unwrap(
    Effect.gen(function* () {
      yield* known(wanted)
      const runtime = yield* ContainerRuntime
      let before: ReadonlyMap<string, ContainerUse> = new Map()
      const look = Effect.gen(function* () {
        const components = (yield* live(wanted.service)).filter(
          ({ component, service }) => wanted.sees(service) && component === (wanted.component ?? component)
        )
        const ids = components.filter(runs).flatMap(({ containerId }) => containerId ?? [])
        const uses = new Map((yield* runtime.stats(ids)).map((use) => [use.containerId, use]))
        const last = before
        before = uses
        return {
          at: yield* Clock.currentTimeMillis,
          components: components.map((live): Used => {
            const use = uses.get(live.containerId ?? "")
            return { live, use, cpuPercent: use === undefined ? 0 : percent(use, last.get(use.containerId)) }
          })
        } satisfies Look
      })
      const after = (pause: Duration.DurationInput) => Stream.fromEffect(Effect.delay(look, pause))
      yield* look
      return Stream.concat(after(first), Stream.forever(after(interval)))
    })
  )
