import { type Duration, Effect, Fiber, FiberSet } from "effect"

/** How long a stopping agent waits for deployments; one that is cut off is resolved at the next start. */
const grace: Duration.DurationInput = "60 seconds"

/** Work that goes on when its caller goes away, and that a graceful stop waits for. */
export class Background extends Effect.Service<Background>()("mcp/Background", {
  scoped: Effect.gen(function* () {
    const fibers = yield* FiberSet.make<unknown, unknown>()
    yield* Effect.addFinalizer(() => Effect.timeoutOption(FiberSet.awaitEmpty(fibers), grace))
    return {
      run: <R>(work: Effect.Effect<void, never, R>) => Effect.asVoid(FiberSet.run(fibers, work)),
      /** Waits for the work; when the caller goes away it only stops waiting. */
      detached: <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
        Effect.flatMap(FiberSet.run(fibers, work), Fiber.join)
    }
  })
}) {}
