import { Clock, Effect } from "effect"
import { type EventRow, Registry } from "../services/Registry.ts"
import { explain, type ProgramError } from "./explain.ts"

type Act = Pick<EventRow, "service" | "component" | "kind" | "from" | "to" | "actor">

/** What the agent tries again and again, and fails in the same way, is told no more often. */
const againAfterMs = 3_600_000

/**
 * Records that an act failed, for those who ask later. That it cannot be recorded must not hide the failure itself.
 */
export const noteFailure = (act: Act, error: ProgramError) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { actor, component, kind, service } = act
    const { message } = error
    const { reason } = explain(error)
    if (actor === "") {
      const since = (yield* Clock.currentTimeMillis) - againAfterMs
      const known = yield* registry.events({ service, component, since, after: 0, limit: 100 })
      const last = known.findLast((event) => event.component === component && event.kind === kind)
      if (last?.to === act.to && last.message === message) return
    }
    yield* registry.recordEvent({ ...act, message, reason })
  }).pipe(
    Effect.catchAll((unavailable) =>
      Effect.logWarning("a failure is not recorded").pipe(Effect.annotateLogs({ why: unavailable.message }))
    )
  )
