import { Clock, Effect, Either, Option } from "effect"
import { type Cause, causeFrom } from "../domain/Cause.ts"
import { deniedLine, isMute } from "../domain/FailureCause.ts"
import type { End, Findings } from "../domain/Findings.ts"
import { containerName, Labels } from "../domain/Names.ts"
import type { ComponentSpec } from "../domain/Spec.ts"
import { type Entry, timeline } from "../domain/Timeline.ts"
import { type Container, ContainerRuntime } from "../services/ContainerRuntime.ts"
import { Registry } from "../services/Registry.ts"
import { attemptOf, failedStartOf, type Past, pastOf } from "./attempts.ts"
import { ContainerHealth } from "./ContainerHealth.ts"
import { endOf } from "./endOf.ts"
import { findService } from "./findService.ts"
import { lastLines } from "./lastLines.ts"
import type { Target } from "./lifecycle.ts"
import { ComponentNotFound } from "./ProgramError.ts"
import { ownerOf, unwritable } from "./preflight.ts"
import { type Live, liveOrUnknown } from "./report.ts"
import { entriesOf } from "./whyTimeline.ts"

export interface Explained extends Cause {
  readonly component: string
  readonly timeline: ReadonlyArray<Entry>
  /** None: the registry has no such component any more, or not yet. */
  readonly live: Live | undefined
}

/** How it ended: as it stands there, or before the agent started it again. */
const lastEnd = (container: Container | undefined, past: Past, component: string) =>
  Effect.gen(function* () {
    if (container?.state === "exited") {
      const { reason } = yield* endOf(container.id, container.exitCode ?? 0)
      return { reason, at: container.finishedAt } satisfies End
    }
    const again = past.events.findLast(
      (event) => event.component === component && event.kind === "restarted" && event.to === "running"
    )
    const at = past.restarts.get(component)?.endedAt
    // One of before events had reasons tells nothing.
    return again === undefined || again.reason === ""
      ? undefined
      : ({ reason: again.reason.toLowerCase(), at: at ?? again.at } satisfies End)
  })

/** Who let it be as it is desired, and when: an act on its desired state, or a deployment that brought that. */
const desiredBy = (past: Past, component: string, desired: string) => {
  const act = past.events.findLast(
    (event) =>
      event.kind === "desired" && event.to === desired && (event.component === "" || event.component === component)
  )
  const deployed = past.deployments.find(({ state }) => state === "succeeded")
  const by = deployed && { actor: deployed.actor, at: deployed.finishedAt ?? deployed.startedAt, deployed: true }
  return act !== undefined && act.at >= (by?.at ?? 0) ? { actor: act.actor, at: act.at, deployed: false } : by
}

/** Volumes that cannot be written, where the log gives reason to look. */
const suspects = (spec: ComponentSpec | undefined, logs: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    if (spec === undefined || spec.volumes.length === 0) return []
    if (deniedLine({ logs }) === undefined && !isMute({ logs })) return []
    const image = yield* Effect.option((yield* ContainerRuntime).image(spec.image))
    return yield* unwritable(spec, ownerOf(spec, Option.getOrUndefined(Option.flatten(image))?.user))
  })

interface Around {
  readonly past: Past
  readonly containers: Either.Either<ReadonlyArray<Container>, { readonly message: string }>
  readonly live: ReadonlyMap<string, Live>
}

const explainOne = (target: string, component: string, { containers, live, past }: Around) =>
  Effect.gen(function* () {
    const health = yield* ContainerHealth
    const runtime = yield* ContainerRuntime
    const { id: registry } = yield* Registry
    const { service, stored } = past
    const now = yield* Clock.currentTimeMillis
    const row = past.rows.get(component)
    const attempt = attemptOf(past, component)
    const made = attempt?.state === "under_way" ? past.made.get(component) : undefined
    const all = Either.getOrElse(containers, (): ReadonlyArray<Container> => [])
    const listed = all.find(({ id }) => id === (made ?? row?.containerId))
    // A list has its times in whole seconds.
    const inspected = listed && Option.getOrUndefined(yield* Effect.option(runtime.inspect(listed.id)))
    const container = inspected ?? listed
    const ofAttempt = attempt?.state === "rolled_back" && (row === undefined || container?.state === "running")
    const specs = (ofAttempt ? past.deployments[0] : (stored ?? past.deployments[0]))?.spec.components
    const spec = specs?.find(({ name }) => name === component)
    const restart = past.restarts.get(component)
    const counted = restart !== undefined && restart.containerId === row?.containerId
    const lines = container === undefined ? [] : yield* lastLines(container.id)
    const kept = attempt?.state === "rolled_back" && attempt.failure?.component === component ? attempt.lastLogs : []
    const logs = ofAttempt ? kept : lines.map(({ line }) => line)
    const probed = container?.state === "running" ? Option.getOrUndefined(yield* health.of(container.id)) : undefined
    // Those of a container that is removed already are kept for a while.
    const taken = yield* health.taken(container?.id ?? past.made.get(component) ?? "")
    const end = yield* lastEnd(container, past, component)
    const findings: Findings = {
      now,
      service,
      component,
      target,
      containerName: container?.containerName ?? containerName(service, component),
      spec,
      desired: row?.desired,
      desiredBy: row && desiredBy(past, component, row.desired),
      undeploying: stored?.undeploying ?? false,
      undeployedAt: past.events.findLast(({ kind, to }) => kind === "observed" && to === "removed")?.at,
      runtimeError: Either.isLeft(containers) ? containers.left.message : undefined,
      named: row?.containerId !== undefined,
      container: container && {
        state: container.state,
        startedAt: container.startedAt,
        exitCode: container.exitCode
      },
      adopted: container !== undefined && container.labels[Labels.registry] !== registry,
      end,
      restarts: counted ? restart.restarts : 0,
      failures: counted ? restart.failures : 0,
      restartAt: counted && container?.state === "exited" ? restart.nextAt : undefined,
      probe: probed && { state: probed.state, detail: probed.detail, failing: taken.failingSince },
      probes: taken.runs,
      failedStart: failedStartOf(past, component, container),
      attempt,
      logs,
      unwritable: Either.isRight(containers) ? yield* suspects(spec, logs) : []
    }
    return {
      component,
      ...causeFrom(findings),
      timeline: timeline(entriesOf(findings, past, lines, container)),
      live: live.get(component)
    } satisfies Explained
  })

/** Why each component of a target is as it is. What was never here is an error; what is gone is told of. */
export const why = ({ component: wanted, service }: Target) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const stored = yield* (yield* Registry).service(service)
    // Looked at first: it brings what the registry has observed up to now.
    const live = Option.isNone(stored) ? [] : yield* liveOrUnknown(service)
    const past = yield* pastOf(service)
    if (!past.known) yield* findService(service)
    const known = past.components
    if (wanted !== undefined && !known.includes(wanted)) {
      return yield* new ComponentNotFound({ service, component: wanted, known })
    }
    const containers = yield* Effect.either(runtime.list)
    const around = { past, containers, live: new Map(live.map((each) => [each.component, each])) }
    return yield* Effect.forEach(
      known.filter((component) => wanted === undefined || component === wanted),
      (component) => explainOne(known.length === 1 ? service : `${service}/${component}`, component, around),
      { concurrency: 4 }
    )
  }).pipe(Effect.annotateLogs({ service }))
