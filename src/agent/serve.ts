import { type Duration, Effect, Schedule } from "effect"
import type { Policy } from "../domain/Authorization.ts"
import { McpAgentService } from "../gen/mcp/v1/mcp_pb.ts"
import * as Health from "../grpc/health.ts"
import * as Reflection from "../grpc/reflection.ts"
import * as GrpcServer from "../grpc/server.ts"
import { resumeUndeploys } from "../programs/lifecycle.ts"
import { resolveUnfinished } from "../programs/undo.ts"
import { AgentState } from "./AgentState.ts"
import { agentService } from "./handlers.ts"
import * as Interceptor from "./interceptor.ts"

export interface ServeOptions {
  readonly host: string
  readonly port: number
  readonly certFile: string
  readonly keyFile: string
  readonly policy: Policy
  /** How often the token of an open call is checked again. */
  readonly recheckEvery?: Duration.DurationInput
}

/** Ends what a crash left half done; tried again until podman answers, while the agent listens already. */
const boot = Effect.zipRight(resolveUnfinished(), resumeUndeploys).pipe(
  Effect.tapError((error) =>
    Effect.logWarning("the start waits and will be tried again").pipe(Effect.annotateLogs({ why: error.message }))
  ),
  Effect.retry(Schedule.exponential("250 millis").pipe(Schedule.union(Schedule.spaced("10 seconds"))))
)

/** Listens; the standard health service says NOT_SERVING until it is told otherwise. */
export const listen = (options: ServeOptions) =>
  Effect.gen(function* () {
    const health = yield* Health.make([McpAgentService.typeName])
    const services = [agentService, health.service]
    const server = yield* GrpcServer.make({
      host: options.host,
      port: options.port,
      certificate: { certFile: options.certFile, keyFile: options.keyFile },
      services: [...services, ...Reflection.make(services)],
      interceptor: yield* Interceptor.make(options.policy, options.recheckEvery)
    })
    yield* Effect.logInfo("listening").pipe(Effect.annotateLogs({ address: server.address }))
    return { server, health }
  })

/**
 * Serves until interrupted. Then no call is accepted, running ones finish, and containers keep running: nothing here
 * stops one.
 */
export const serve = (options: ServeOptions) =>
  Effect.gen(function* () {
    const state = yield* AgentState
    const { health } = yield* listen(options)
    yield* boot
    yield* state.set("serving")
    yield* health.setAll(Health.ServingStatus.SERVING)
    yield* Effect.logInfo("serving")
    return yield* Effect.never.pipe(
      Effect.onInterrupt(() =>
        Effect.all([
          Effect.logInfo("stopping; containers keep running"),
          state.set("stopping"),
          health.setAll(Health.ServingStatus.NOT_SERVING)
        ])
      )
    )
  }).pipe(Effect.scoped)
