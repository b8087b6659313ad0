import { timestampMs } from "@bufbuild/protobuf/wkt"
import { Effect, Stream } from "effect"
import { McpAgentService } from "../gen/mcp/v1/mcp_pb.ts"
import { service } from "../grpc/service.ts"
import type { DeployEvent } from "../programs/DeployEvent.ts"
import { type DeployRequest, deploy, planDeploy } from "../programs/deploy.ts"
import { eventsOf } from "../programs/events.ts"
import type { ProgramError } from "../programs/explain.ts"
import { difference, history } from "../programs/history.ts"
import * as lifecycle from "../programs/lifecycle.ts"
import { logs } from "../programs/logs.ts"
import { nodeStatus } from "../programs/nodeStatus.ts"
import type { Outcome } from "../programs/oneComponent.ts"
import { live, type Past, statusOf } from "../programs/report.ts"
import { type RollbackRequest, type RollbackTarget, rollback } from "../programs/rollback.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { AgentState } from "./AgentState.ts"
import { authorized } from "./authorizedSpec.ts"
import { Background } from "./Background.ts"
import { authorize, CallerContext, visible } from "./CallerContext.ts"
import * as encode from "./encode.ts"
import { toRpcError } from "./errors.ts"
import { adoptContainers, exported } from "./handlers/adopt.ts"
import { execCall } from "./handlers/exec.ts"
import { listFiles, pullFile, pushFile, removePath } from "./handlers/files.ts"
import { loadImageCall } from "./handlers/images.ts"
import { secretCalls } from "./handlers/secrets.ts"
import { snapshotCalls } from "./handlers/snapshots.ts"
import { statsCall } from "./handlers/stats.ts"
import { purgeComponents, syncDesiredState } from "./handlers/sync.ts"
import { watching } from "./handlers/watching.ts"
import { explain } from "./handlers/why.ts"
import { telling } from "./telling.ts"

const deployment = (request: DeployRequest) =>
  telling<DeployEvent, Effect.Effect.Context<ReturnType<typeof deploy>>>((tell) => deploy(request, tell)).pipe(
    Stream.takeUntil((event) => event._tag === "Result")
  )

type RollbackEvent = RollbackTarget | DeployEvent
const isTarget = (event: RollbackEvent): event is RollbackTarget => !("_tag" in event)

const rolledBack = (request: RollbackRequest) =>
  telling<RollbackEvent, Effect.Effect.Context<ReturnType<typeof rollback>>>((tell) =>
    rollback(request, tell, tell)
  ).pipe(
    Stream.takeUntil((event) => !isTarget(event) && event._tag === "Result"),
    Stream.map((event) =>
      isTarget(event) ? { target: encode.rollbackTarget(event) } : { progress: encode.deployEvent(event) }
    )
  )

const target = (request: { service: string; component: string }) =>
  Effect.gen(function* () {
    yield* authorize(request.service, request.component)
    const { who } = yield* CallerContext
    const component = request.component === "" ? undefined : request.component
    return { service: request.service, component, actor: who.username } satisfies lifecycle.Target
  })

const lifecycleCall =
  <E extends ProgramError, R>(program: (target: lifecycle.Target) => Effect.Effect<ReadonlyArray<Outcome>, E, R>) =>
  (request: { service: string; component: string }) =>
    target(request).pipe(
      Effect.flatMap((of) => Effect.flatMap(Background, (background) => background.detached(program(of)))),
      Effect.map((outcomes) => ({ components: outcomes.map(encode.outcome) }))
    )

const statuses = (name: string, past?: Past) =>
  Effect.gen(function* () {
    if (name !== "") yield* authorize(name)
    const sees = yield* visible
    const found = yield* statusOf(name === "" ? undefined : name, past)
    return found.filter((status) => sees(status.row.service))
  })

/** Of each service in its status. */
const shownPast: Past = { deployments: 5, events: 10 }

/** Decode, call a program, encode: no rule lives here. */
export const agentService = service(
  McpAgentService,
  {
    deploy: (request) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const spec = yield* authorized(request.spec)
          const { who } = yield* CallerContext
          return deployment({
            spec,
            components: request.components,
            force: request.force,
            pull: request.pull,
            noWait: request.noWait,
            wait: request.waitForLock,
            respectPin: request.respectPin,
            actor: who.username
          })
        })
      ).pipe(Stream.map(encode.deployEvent)),
    plan: (request) =>
      Effect.gen(function* () {
        const spec = yield* authorized(request.spec)
        const plan = yield* planDeploy({ spec, components: request.components, force: request.force })
        return {
          components: plan.components.map(encode.componentPlan),
          warnings: plan.warnings.map(({ component, message }) =>
            component === "" ? message : `${component}: ${message}`
          )
        }
      }),
    undeployService: (request) =>
      Effect.gen(function* () {
        yield* authorize(request.service)
        const { who } = yield* CallerContext
        const background = yield* Background
        return { removed: [...(yield* background.detached(lifecycle.undeploy(request.service, who.username)))] }
      }),
    stopService: lifecycleCall(lifecycle.stop),
    startService: lifecycleCall(lifecycle.start),
    restartService: lifecycleCall((of) =>
      Effect.flatMap(CallerContext, ({ who }) => lifecycle.restart(of, who.username))
    ),
    rollbackService: (request) =>
      Stream.unwrap(
        Effect.gen(function* () {
          yield* authorize(request.service)
          const { who } = yield* CallerContext
          return rolledBack({
            service: request.service,
            to: request.to === "" ? undefined : request.to,
            noWait: request.noWait,
            wait: request.waitForLock,
            actor: who.username
          })
        })
      ),
    listDeployments: (request) =>
      Effect.gen(function* () {
        yield* authorize(request.service)
        const { diffFrom, diffTo, limit, service } = request
        if (diffFrom !== "" || diffTo !== "") {
          return { diff: (yield* difference(service, diffFrom, diffTo)).map(encode.componentPlan) }
        }
        const all = yield* history(service, limit === 0 ? 20 : Math.min(limit, 1000))
        return { deployments: all.map(encode.deploymentInfo) }
      }),
    listEvents: (request) =>
      Effect.gen(function* () {
        if (request.service !== "") yield* authorize(request.service)
        const sees = yield* visible
        const found = yield* eventsOf({
          service: request.service,
          component: request.component,
          since: request.since === undefined ? 0 : timestampMs(request.since),
          after: Number(request.after),
          limit: request.limit === 0 ? 100 : Math.min(request.limit, 1000)
        })
        return { events: found.filter(({ service }) => sees(service)).map(encode.event) }
      }),
    listServices: () =>
      Effect.gen(function* () {
        const { node } = yield* NodeInfo
        return { services: (yield* statuses("")).map((status) => encode.serviceInfo(status, node)) }
      }),
    getServiceStatus: (request) =>
      Effect.gen(function* () {
        const { node } = yield* NodeInfo
        return {
          services: (yield* statuses(request.service, shownPast)).map((status) => encode.serviceStatus(status, node))
        }
      }),
    liveCheck: (request) =>
      Effect.gen(function* () {
        if (request.service !== "") yield* authorize(request.service)
        const sees = yield* visible
        const found = yield* live(request.service === "" ? undefined : request.service)
        return { components: found.filter((component) => sees(component.service)).map(encode.liveComponent) }
      }),
    syncDesiredState,
    adoptContainers,
    purgeComponents,
    explain,
    ...watching,
    ...secretCalls,
    ...snapshotCalls,
    exec: execCall,
    stats: statsCall,
    exportSpec: exported,
    pushFile,
    pullFile,
    listFiles,
    removePath,
    loadImage: loadImageCall,
    logs: (request) =>
      Stream.unwrap(
        Effect.map(target(request), (of) =>
          logs(of, {
            follow: request.follow,
            tail: request.tail,
            since: request.since === undefined ? undefined : timestampMs(request.since)
          })
        )
      ).pipe(Stream.map(encode.logLine)),
    nodeStatus: () => Effect.map(nodeStatus, encode.nodeStatus),
    healthCheck: () => Effect.flatMap(AgentState, (state) => Effect.map(state.get, (now) => ({ state: now })))
  },
  toRpcError
)
