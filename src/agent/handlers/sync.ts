import type { MessageInitShape } from "@bufbuild/protobuf"
import { Effect, Either, Stream } from "effect"
import type { ObservedState } from "../../domain/State.ts"
import type {
  PurgeComponentsRequest,
  PurgedEntrySchema,
  ServiceSyncedSchema,
  SyncDesiredStateRequest,
  SyncResultSchema
} from "../../gen/mcp/v1/mcp_pb.ts"
import { annotateCall } from "../../grpc/CallInfo.ts"
import { RpcError } from "../../grpc/status.ts"
import { type PurgedEntry, purge } from "../../programs/purge.ts"
import { notSynced, refusal, type Synced, type SyncRequest, type SyncResult, sync } from "../../programs/sync.ts"
import type { RuntimeState } from "../../services/ContainerRuntime.ts"
import { authorized } from "../authorizedSpec.ts"
import { Background } from "../Background.ts"
import { authorize, CallerContext, visible } from "../CallerContext.ts"
import { componentPlan, observedStates } from "../encode.ts"
import { telling } from "../telling.ts"

const synced = ({ lastLogs, plan, warnings, ...rest }: Synced): MessageInitShape<typeof ServiceSyncedSchema> => ({
  ...rest,
  plan: plan.map(componentPlan),
  warnings: [...warnings],
  lastLogs: [...lastLogs]
})

/** Nobody has said what it should be: an end is an end. */
const unmanagedState = (state: RuntimeState): ObservedState =>
  state === "running" || state === "exited" || state === "unknown" ? state : "stopped"

const result = ({ notDefined, unmanaged }: SyncResult): MessageInitShape<typeof SyncResultSchema> => ({
  unmanaged: unmanaged.map(({ component, container, service }) => ({
    container: container.containerName,
    containerId: container.id,
    service,
    component,
    image: container.image,
    observed: observedStates[unmanagedState(container.state)]
  })),
  undefined: [...notDefined]
})

type Event = Synced | SyncResult
const isResult = (event: Event): event is SyncResult => "unmanaged" in event

const syncing = (request: SyncRequest, refused: ReadonlyArray<Synced>, sees: (service: string) => boolean) =>
  telling<Event, Effect.Effect.Context<ReturnType<typeof sync>>>((tell) =>
    Effect.gen(function* () {
      for (const each of refused) yield* tell(each)
      const { notDefined, unmanaged } = yield* sync(request, tell)
      yield* tell({ unmanaged: unmanaged.filter(({ service }) => sees(service)), notDefined: notDefined.filter(sees) })
    })
  )

/** What the caller may not send, or what is no service, is told of like any other that fails. */
export const syncDesiredState = ({ dryRun, specs: wires }: SyncDesiredStateRequest) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { who } = yield* CallerContext
      const sees = yield* visible
      const checked = yield* Effect.forEach(wires, (wire) =>
        authorized(wire).pipe(
          Effect.mapError((error) =>
            error instanceof RpcError
              ? refusal(wire.name, {
                  ...{ reason: error.reason, message: error.detail, nextStep: error.nextStep ?? "" }
                })
              : notSynced(wire.name, error)
          ),
          Effect.either
        )
      )
      yield* annotateCall({ service: wires.map(({ name }) => name).join(",") })
      const refused = checked.flatMap((each) => (Either.isLeft(each) ? [each.left] : []))
      const specs = checked.flatMap((each) => (Either.isRight(each) ? [each.right] : []))
      const request = { specs, refused: refused.map(({ service }) => service), dryRun, actor: who.username }
      return syncing(request, refused, sees)
    })
  ).pipe(
    Stream.map((event) =>
      isResult(event)
        ? { event: { case: "result" as const, value: result(event) } }
        : { event: { case: "service" as const, value: synced(event) } }
    )
  )

const entry = ({ component, observed, removed, ...rest }: PurgedEntry): MessageInitShape<typeof PurgedEntrySchema> => ({
  ...rest,
  component: component ?? "",
  observed: observedStates[observed],
  removedContainer: removed ?? ""
})

export const purgeComponents = (request: PurgeComponentsRequest) =>
  Effect.gen(function* () {
    if (request.service !== "") yield* authorize(request.service, request.component)
    const may = yield* visible
    const background = yield* Background
    const entries = yield* background.detached(
      purge({
        service: request.service === "" ? undefined : request.service,
        component: request.component === "" ? undefined : request.component,
        defined: request.defined.map(({ components, name }) => ({ name, components: components.map((c) => c.name) })),
        keepContainers: request.keepContainers,
        dryRun: request.dryRun,
        may
      })
    )
    return { entries: entries.map(entry) }
  })
