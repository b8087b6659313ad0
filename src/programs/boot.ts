import { Effect } from "effect"
import { Registry } from "../services/Registry.ts"
import { undeploy } from "./lifecycle.ts"
import { recover } from "./recover.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

/** The services that a crash may have left half done: those with rows, and those whose first deployment did not end. */
export const unsettled = Effect.gen(function* () {
  const registry = yield* Registry
  const stored = yield* registry.services
  const unfinished = yield* registry.unfinishedDeployments
  const unswept = yield* registry.unswept
  return [...new Set([...[...stored, ...unfinished].map((row) => row.service), ...unswept])]
})

/** Brings one service to where its rows say it is: a deployment goes back, an undeploy goes on. */
export const settle = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const locks = yield* ServiceLocks
    const row = (yield* registry.services).find((each) => each.service === service)
    if (row?.undeploying) return yield* Effect.asVoid(undeploy(service))
    yield* locks.withLock(service, "a recovery")(recover(service))
  })
