import { Effect } from "effect"
import { endedByPolicy } from "../domain/Drift.ts"
import { type ComponentPlan, plan } from "../domain/Plan.ts"
import type { SecretVersions } from "../domain/Secret.ts"
import type { ComponentSpec, ServiceSpec, UpdateOrder } from "../domain/Spec.ts"
import { updateOrderOf } from "../domain/UpdateOrder.ts"
import type { Container } from "../services/ContainerRuntime.ts"
import { HostPorts } from "../services/HostPorts.ts"
import type { DeploymentStepRow } from "../services/Registry.ts"
import { allocatedTo, type Facts } from "./facts.ts"
import type { ResolvedImage } from "./images.ts"

/** One component's part of a deployment. */
export interface Job {
  readonly component: ComponentSpec
  readonly plan: ComponentPlan
  readonly order: UpdateOrder
  /** The container that it has now. */
  readonly previous: Container | undefined
  /** Whether that ran, or was to run. */
  readonly previousRan: boolean
  readonly generation: number
  readonly image: { readonly id: string | undefined; readonly digest: string | undefined }
  readonly secrets: SecretVersions
}

export interface Planning {
  readonly spec: ServiceSpec
  readonly components: ReadonlyArray<string>
  readonly force: boolean
}

export const planFrom = (
  { components, force, spec }: Planning,
  facts: Facts,
  images: ReadonlyMap<string, string | undefined>,
  secrets: ReadonlyMap<string, SecretVersions>
): ReadonlyArray<ComponentPlan> =>
  plan({
    spec,
    stored: facts.service?.spec,
    rows: [...facts.rows.values()],
    observed: facts.current,
    images,
    secrets,
    force,
    only: components
  })

export const makes = (job: Job): boolean => job.plan.action === "create" || job.plan.action === "replace"

/** A stopped container whose port was given up meanwhile cannot be started again: it is replaced. */
const startable = (component: ComponentPlan, facts: Facts) =>
  Effect.gen(function* () {
    if (component.action !== "start") return component
    const host = yield* HostPorts
    const allocated = allocatedTo(facts.ports, facts.current.get(component.component)?.id)
    for (const port of allocated.values()) {
      if (yield* host.isFree({ ip: "127.0.0.1", port, protocol: "tcp" })) continue
      return { ...component, action: "replace" as const, why: `its port ${port} is taken` }
    }
    return component
  })

/** A job for each component of the spec; what was not asked for stays as it is. */
export const jobsOf = (
  request: Planning,
  plans: ReadonlyArray<ComponentPlan>,
  facts: Facts,
  images: ReadonlyMap<string, ResolvedImage>,
  secrets: ReadonlyMap<string, SecretVersions>
) =>
  Effect.forEach(request.spec.components, (component) =>
    Effect.gen(function* () {
      const row = facts.rows.get(component.name)
      const previous = facts.current.get(component.name)
      const kept: ComponentPlan = {
        component: component.name,
        action: "unchanged",
        fromImage: row?.image,
        toImage: component.image,
        changes: [],
        why: "not asked for"
      }
      const found = yield* startable(plans.find((p) => p.component === component.name) ?? kept, facts)
      const made = found.action === "create" || found.action === "replace"
      const image = images.get(component.name)
      return {
        component,
        plan: found,
        order: updateOrderOf(component, request.spec),
        previous,
        previousRan:
          previous !== undefined &&
          (previous.state === "running" ||
            (row?.desired === "running" && !endedByPolicy(component.restart, previous.exitCode))),
        generation: (row?.generation ?? 0) + (made ? 1 : 0),
        // What is only recorded, with active = false, is recorded with its image: a rollback brings that back.
        image: { id: image?.id ?? row?.imageId, digest: image?.digest },
        secrets: secrets.get(component.name) ?? row?.secrets ?? {}
      } satisfies Job
    })
  )

export const stepOf = (job: Job): Omit<DeploymentStepRow, "deployment" | "newContainerId"> => ({
  component: job.component.name,
  action: job.plan.action,
  updateOrder: job.order,
  generation: job.generation,
  fromImage: job.plan.fromImage,
  imageId: job.image.id,
  imageDigest: job.image.digest,
  previousContainerId: job.previous?.id,
  previousRan: job.previousRan,
  secrets: job.secrets
})
