import { type Duration, Effect } from "effect"
import type { Policy } from "../domain/Authorization.ts"
import { McpAgentService } from "../gen/mcp/v1/mcp_pb.ts"
import * as Health from "../grpc/health.ts"
import * as Reflection from "../grpc/reflection.ts"
import * as GrpcServer from "../grpc/server.ts"
import { type Booting, boot } from "../programs/boot.ts"
import { forgetEvents } from "../programs/events.ts"
import { sweepTransfers } from "../programs/files.ts"
import { superviseHealth } from "../programs/healthChecks.ts"
import { sweepSnapshots } from "../programs/keptSnapshots.ts"
import { superviseRestarts } from "../programs/restarts.ts"
import { Monitor } from "../services/Monitor.ts"
import { AgentState } from "./AgentState.ts"
import { agentService } from "./handlers.ts"
import * as Interceptor from "./interceptor.ts"

export interface ServeOptions {
  readonly host: string
  readonly port: number
  readonly certFile: string
  readonly keyFile: string
  readonly policy: Policy
  /** How long events are kept. */
  readonly eventRetention: Duration.DurationInput
  readonly booting: Booting
  /** How often the token of an open call is checked again. */
  readonly recheckEvery?: Duration.DurationInput
}

/** Listens; the standard health service says NOT_SERVING until it is told otherwise. */
export const listen = (options: Omit<ServeOptions, "booting">) =>
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
    // Before a transfer or a snapshot can begin.
    yield* sweepTransfers
    yield* sweepSnapshots
    const { health } = yield* listen(options)
    yield* boot(options.booting)
    yield* superviseRestarts
    yield* superviseHealth
    yield* (yield* Monitor).watch
    yield* Effect.forkScoped(forgetEvents(options.eventRetention))
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
