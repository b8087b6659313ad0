import { Effect, Option } from "effect"
import { type ComponentPlan, plan } from "../domain/Plan.ts"
import { specHash } from "../domain/SpecHash.ts"
import type { Action } from "../domain/State.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type DeploymentRow, type DeploymentStepRow, Registry } from "../services/Registry.ts"
import { findService } from "./findService.ts"
import { DeploymentNotFound } from "./ProgramError.ts"

export interface PastDeployment {
  readonly row: DeploymentRow
  readonly changes: ReadonlyArray<{
    readonly component: string
    readonly action: Action
    readonly fromImage: string | undefined
    readonly toImage: string | undefined
  }>
  /** The revision that the service has. */
  readonly current: boolean
  /** A rollback to it needs no image registry. */
  readonly imagesKept: boolean
  /** The definition that was rolled back from is skipped. */
  readonly pinned: boolean
}

const changesOf = ({ spec }: DeploymentRow, steps: ReadonlyArray<DeploymentStepRow>) =>
  steps.map(({ action, component, fromImage }) => ({
    component,
    action,
    fromImage,
    toImage: spec.components.find(({ name }) => name === component)?.image
  }))

/** The newest deployments of a service. Also of one that has been undeployed: its history stays. */
export const history = (service: string, limit: number) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const runtime = yield* ContainerRuntime
    const rows = yield* registry.deployments(service, limit)
    const stored = Option.getOrUndefined(yield* registry.service(service))
    if (rows.length === 0) yield* findService(service)
    const [current] = stored ? yield* registry.revisions(service, 1) : []
    const here = new Map<string, boolean>()
    const isHere = (image: string) =>
      Effect.gen(function* () {
        const known = here.get(image) ?? Option.isSome(yield* runtime.image(image))
        here.set(image, known)
        return known
      })
    return yield* Effect.forEach(rows, (row) =>
      Effect.gen(function* () {
        const steps = yield* registry.steps(row.id)
        const images = steps.flatMap(({ imageId }) => imageId ?? [])
        // Whether the images are here is a hint: with the runtime away the history is shown without it.
        const kept = yield* Effect.orElseSucceed(Effect.forEach(images, isHere), () => [false])
        const isCurrent = row.id === current?.id
        return {
          row,
          changes: changesOf(row, steps),
          current: isCurrent,
          imagesKept: row.state === "succeeded" && kept.every(Boolean),
          pinned: isCurrent && stored?.pinnedFrom !== undefined
        } satisfies PastDeployment
      })
    )
  })

/** What differs between two deployments of a service, as a plan from the one to the other. */
export const difference = (service: string, from: string, to: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const find = (id: string) =>
      Effect.gen(function* () {
        const row = Option.getOrUndefined(yield* registry.deployment(id.toUpperCase()))
        if (row?.service !== service) return yield* new DeploymentNotFound({ service, deployment: id })
        const steps = yield* registry.steps(row.id)
        return {
          row,
          images: new Map(steps.map((step) => [step.component, step.imageId])),
          secrets: new Map(steps.map((step) => [step.component, step.secrets]))
        }
      })
    const [a, b] = [yield* find(from), yield* find(to)]
    return plan({
      spec: { ...b.row.spec, active: true },
      stored: a.row.spec,
      rows: a.row.spec.components.map((component) => ({
        component: component.name,
        specHash: specHash(component),
        image: component.image,
        desired: "running",
        secrets: a.secrets.get(component.name) ?? {}
      })),
      observed: new Map(
        a.row.spec.components.map(({ name }) => [name, { state: "running", imageId: a.images.get(name) ?? "" }])
      ),
      images: b.images,
      secrets: b.secrets,
      force: false,
      only: []
    }).map(
      (each): ComponentPlan =>
        each.action === "orphan"
          ? { ...each, why: "in the first only" }
          : each.action === "create"
            ? { ...each, why: "in the second only" }
            : each
    )
  })
