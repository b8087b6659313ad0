import { Effect, Either } from "effect"
import type { BootStage } from "../domain/AgentConfig.ts"
import { Registry } from "../services/Registry.ts"
import { settle, unsettled } from "./boot.ts"
import { type BroughtBack, bringBack } from "./bringBack.ts"
import { explain } from "./explain.ts"

/** A program that is asked for by hand is waited for as long as any may take. */
const readyWithin = "10 minutes"

const whole = (service: string, error: Parameters<typeof explain>[0]): BroughtBack => ({
  service,
  component: "",
  fate: "failed",
  why: error.message,
  nextStep: explain(error).nextStep
})

/**
 * Once, and by hand: what a crash left is ended and what should run is brought back, in the order of the boot stages.
 * `tell` hears of each component as it is done.
 */
export const recoverNode = (
  stages: ReadonlyArray<BootStage>,
  actor: string,
  tell: (done: ReadonlyArray<BroughtBack>) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const unclear = new Set<string>()
    yield* Effect.forEach(
      yield* unsettled,
      (service) =>
        Effect.catchAll(settle(service), (error) =>
          Effect.zipRight(
            Effect.sync(() => unclear.add(service)),
            tell([whole(service, error)])
          )
        ),
      { concurrency: "unbounded", discard: true }
    )
    const services = (yield* registry.services).map(({ service }) => service).filter((name) => !unclear.has(name))
    const staged = stages.map((stage) => stage.services.filter((name) => services.includes(name)))
    const rest = services.filter((service) => !staged.some((names) => names.includes(service as never)))
    let good = unclear.size === 0
    for (const together of [...staged, rest]) {
      yield* Effect.forEach(
        together,
        (service) =>
          Effect.gen(function* () {
            const done = yield* Effect.either(bringBack(service, { byHand: true, readyWithin, actor }))
            const told = Either.isRight(done) ? done.right : [whole(service, done.left)]
            if (told.some(({ fate }) => fate === "failed" || fate === "unready")) good = false
            yield* tell(told)
          }),
        { concurrency: "unbounded", discard: true }
      )
    }
    return good
  })
