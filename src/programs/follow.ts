import { Effect, Schedule, Stream } from "effect"
import { Labels } from "../domain/Names.ts"
import { ContainerRuntime, type RuntimeEvent } from "../services/ContainerRuntime.ts"
import { untilItAnswers } from "./progress.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

/** What a lost event left is found by then. */
const scanEvery = "60 seconds"

/**
 * Calls `look` whenever something of a service may have changed, as long as its scope lasts: after these events of its
 * containers, once an act on it is over, and every so often for all of them (no service is named then). `released` comes
 * first when an act is over.
 */
export const follow = <R>(
  actions: ReadonlyArray<RuntimeEvent["action"]>,
  look: (service: string | undefined) => Effect.Effect<void, never, R>,
  released: (service: string) => Effect.Effect<void, never, R> = () => Effect.void
) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const locks = yield* ServiceLocks
    const telling = Stream.filter(
      runtime.events,
      ({ action, labels }) => actions.includes(action) && labels[Labels.service] !== undefined
    )
    const events = Effect.zipRight(
      look(undefined),
      Stream.runForEach(telling, ({ labels }) => look(labels[Labels.service]))
    )
    yield* Effect.forkScoped(
      Stream.runForEach(locks.released, (service) => Effect.zipRight(released(service), look(service)))
    )
    yield* Effect.forkScoped(Effect.retry(Effect.forever(events), untilItAnswers))
    yield* Effect.forkScoped(Effect.repeat(look(undefined), Schedule.spaced(scanEvery)))
  })
