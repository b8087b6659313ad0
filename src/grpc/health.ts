// Written on our own bridge, as are the reflection services: grpc-health-check and @grpc/reflection want grpc-js's own
// server and a proto-loader package definition, so that their calls would pass beside the one interceptor.
import { Effect, Stream, SubscriptionRef } from "effect"
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../gen/grpc/health/v1/health_pb.ts"
import { type GrpcService, service } from "./service.ts"
import { Code, RpcError } from "./status.ts"

export { ServingStatus }

/** What the standard health service says of each service; the empty name is the server as a whole. */
export interface HealthStatus {
  readonly set: (service: string, status: ServingStatus) => Effect.Effect<void>
  /** Every name that was ever set: for the start and the stop of the whole. */
  readonly setAll: (status: ServingStatus) => Effect.Effect<void>
  readonly get: (service: string) => Effect.Effect<ServingStatus | undefined>
  /** To be given to the server. */
  readonly service: GrpcService<never>
}

/** `grpc.health.v1.Health`, NOT_SERVING until told otherwise, for the server and the services named. */
export const make = (services: ReadonlyArray<string>): Effect.Effect<HealthStatus> =>
  Effect.gen(function* () {
    const initial = new Map(["", ...services].map((name) => [name, ServingStatus.NOT_SERVING]))
    const statuses = yield* SubscriptionRef.make<ReadonlyMap<string, ServingStatus>>(initial)
    const get = (name: string) => Effect.map(SubscriptionRef.get(statuses), (map) => map.get(name))
    return {
      get,
      set: (name, status) => SubscriptionRef.update(statuses, (map) => new Map([...map, [name, status]])),
      setAll: (status) =>
        SubscriptionRef.update(statuses, (map) => new Map([...map.keys()].map((name) => [name, status]))),
      service: service(Health, {
        check: (request) =>
          Effect.flatMap(get(request.service), (status) =>
            status === undefined
              ? new RpcError({
                  code: Code.NOT_FOUND,
                  reason: "HEALTH_SERVICE_UNKNOWN",
                  detail: `no health is kept for ${JSON.stringify(request.service)}`
                })
              : Effect.succeed({ status })
          ),
        watch: (request) =>
          statuses.changes.pipe(
            Stream.map((map) => map.get(request.service) ?? ServingStatus.SERVICE_UNKNOWN),
            Stream.changes,
            Stream.map((status) => ({ status }))
          )
      })
    }
  })
