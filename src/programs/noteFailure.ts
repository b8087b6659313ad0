import { Effect } from "effect"
import { type EventRow, Registry } from "../services/Registry.ts"
import { explain, type ProgramError } from "./explain.ts"

type Act = Pick<EventRow, "service" | "component" | "kind" | "from" | "to" | "actor">

/**
 * Records that an act failed, for those who ask later. Said once: what is tried again and fails in the same way is no news.
 * That it cannot be recorded must not hide the failure itself.
 */
export const noteFailure = (act: Act, error: ProgramError) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { component, service } = act
    const known = (yield* registry.events({ service, component, since: 0, after: 0, limit: 20 })).filter(
      (event) => event.component === component
    )
    const last = known.at(-1)
    const { message } = error
    const { reason } = explain(error)
    if (last?.kind === act.kind && last.to === act.to && last.message === message && last.actor === act.actor) return
    yield* registry.recordEvent({ ...act, message, reason })
  }).pipe(
    Effect.catchAll((unavailable) =>
      Effect.logWarning("a failure is not recorded").pipe(Effect.annotateLogs({ why: unavailable.message }))
    )
  )
