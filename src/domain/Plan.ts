import { Schema } from "effect"
import { endedByPolicy } from "./Drift.ts"
import type { SecretVersions } from "./Secret.ts"
import { ComponentSpec, type ServiceSpec } from "./Spec.ts"
import { specHash } from "./SpecHash.ts"
import type { Action, DesiredState } from "./State.ts"

/** One field that a deploy would change; values of the environment are never shown. */
export interface FieldChange {
  readonly field: string
  readonly from: string | undefined
  readonly to: string | undefined
}

/** What a deploy would do with one component, and why. */
export interface ComponentPlan {
  readonly component: string
  readonly action: Action
  readonly fromImage?: string | undefined
  readonly toImage?: string | undefined
  readonly changes: ReadonlyArray<FieldChange>
  readonly why: string
}

export interface PlanInput {
  readonly spec: ServiceSpec
  /** The spec that the registry has, for the diff. */
  readonly stored: ServiceSpec | undefined
  readonly rows: ReadonlyArray<{
    readonly component: string
    readonly specHash: string
    readonly imageId?: string | undefined
    readonly image: string
    readonly desired: DesiredState
    /** Those that its container was made with. */
    readonly secrets: SecretVersions
  }>
  /** The container that each row names, where it still exists. */
  readonly observed: ReadonlyMap<
    string,
    { readonly state: string; readonly imageId: string; readonly exitCode?: number | undefined }
  >
  /** By component: the id of the image that it is to run; undefined where that is not on the node. */
  readonly images: ReadonlyMap<string, string | undefined>
  /** By component: the versions of its secrets that it is to have; one that is not set is missing. */
  readonly secrets: ReadonlyMap<string, SecretVersions>
  readonly force: boolean
  /** Empty: all of them. */
  readonly only: ReadonlyArray<string>
}

/**
 * The stages in which components start: each stage depends on earlier ones only, what stands in one stage is
 * independent. Within a stage the definition's order is kept. What is part of a cycle comes last, as one stage.
 */
export const startOrder = (
  components: ReadonlyArray<Pick<ComponentSpec, "name" | "dependsOn">>
): ReadonlyArray<ReadonlyArray<string>> => {
  const known = new Set(components.map((component) => component.name))
  const stages: Array<ReadonlyArray<string>> = []
  const placed = new Set<string>()
  for (;;) {
    const left = components.filter((component) => !placed.has(component.name))
    if (left.length === 0) return stages
    const ready = left.filter((c) => c.dependsOn.every((other) => placed.has(other) || !known.has(other)))
    const stage = (ready.length > 0 ? ready : left).map((component) => component.name)
    stages.push(stage)
    for (const component of stage) placed.add(component)
  }
}

const shown = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

/** The fields that differ, by the definition's names. */
const diff = (from: ComponentSpec, to: ComponentSpec): ReadonlyArray<FieldChange> => {
  const before = Schema.encodeSync(ComponentSpec)(from) as Record<string, unknown>
  const after = Schema.encodeSync(ComponentSpec)(to) as Record<string, unknown>
  const changes: Array<FieldChange> = []
  for (const field of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (field === "env") {
      for (const name of [...new Set([...Object.keys(from.env), ...Object.keys(to.env)])].sort()) {
        const [was, is] = [from.env[name], to.env[name]]
        if (was === is) continue
        changes.push({
          field: `env.${name}`,
          from: was === undefined ? undefined : "(set)",
          to: is === undefined ? undefined : was === undefined ? "(set)" : "(changed)"
        })
      }
    } else if (JSON.stringify(before[field]) !== JSON.stringify(after[field])) {
      changes.push({
        field,
        from: before[field] === undefined ? undefined : shown(before[field]),
        to: after[field] === undefined ? undefined : shown(after[field])
      })
    }
  }
  return changes
}

const version = (of: number | undefined) => (of === undefined ? undefined : `version ${of}`)

/** Secrets of which the container has another version than it is to have; what it has no more is the definition's to say. */
const changedSecrets = (component: ComponentSpec, has: SecretVersions, wanted: SecretVersions) =>
  component.secrets
    .filter((secret) => wanted[secret] !== undefined && wanted[secret] !== has[secret])
    .map(
      (secret): FieldChange => ({
        field: `secrets.${secret}`,
        from: version(has[secret]),
        to: version(wanted[secret])
      })
    )

const planComponent = (input: PlanInput, component: ComponentSpec): ComponentPlan => {
  const row = input.rows.find((row) => row.component === component.name)
  const container = input.observed.get(component.name)
  const before = input.stored?.components.find((c) => c.name === component.name)
  const secrets = row ? changedSecrets(component, row.secrets, input.secrets.get(component.name) ?? {}) : []
  const changes = [
    ...(before && row && row.specHash !== specHash(component) ? diff(before, component) : []),
    ...secrets
  ]
  const as = (action: Action, why: string): ComponentPlan => ({
    component: component.name,
    action,
    fromImage: row?.image,
    toImage: component.image,
    changes,
    why
  })
  if (!input.spec.active) {
    return container?.state === "running" ? as("stop", "active = false") : as("unchanged", "active = false")
  }
  if (row === undefined) return as("create", "new")
  if (container === undefined) return as("create", "its container is gone")
  if (row.specHash !== specHash(component)) return as("replace", "the definition changed")
  const image = input.images.get(component.name)
  if (image !== undefined && image !== container.imageId) return as("replace", "the image changed under its name")
  if (secrets.length > 0) {
    const names = secrets.map(({ field }) => field.slice("secrets.".length))
    return as("replace", `${names.length === 1 ? "secret" : "secrets"} ${names.join(", ")} changed`)
  }
  if (input.force) return as("replace", "forced")
  if (
    container.state === "exited" &&
    row.desired === "running" &&
    endedByPolicy(component.restart, container.exitCode)
  ) {
    return as("unchanged", "it has ended, as its restart policy has it")
  }
  if (container.state !== "running") return as("start", `it is ${container.state}`)
  if (row.desired !== "running") return as("start", "the registry has it as stopped")
  return as("unchanged", "")
}

/**
 * What a deploy of `spec` would do, component by component in the definition's order, orphans last. Unchanged means the
 * same spec hash, image id and versions of secrets, and running as it should.
 */
export const plan = (input: PlanInput): ReadonlyArray<ComponentPlan> => {
  // `active` is of the whole service: with false all of it is stopped, also by a deploy of a part.
  const stopping = new Set(input.spec.active ? [] : input.rows.map((row) => row.component))
  const chosen = (component: string) =>
    input.only.length === 0 || input.only.includes(component) || stopping.has(component)
  const defined = new Set<string>(input.spec.components.map((component) => component.name))
  return [
    ...input.spec.components.filter((c) => chosen(c.name)).map((component) => planComponent(input, component)),
    ...input.rows
      .filter((row) => !defined.has(row.component) && input.only.length === 0)
      .map(
        (row): ComponentPlan => ({
          component: row.component,
          action: "orphan",
          fromImage: row.image,
          changes: [],
          why: "in the registry, no longer defined; mcp never removes it by itself"
        })
      )
  ]
}
