import { Effect } from "effect"
import type { SecretVersions } from "../domain/Secret.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { canonicalService, serviceHash } from "../domain/SpecHash.ts"
import { type DeploymentRow, type DeploymentStepRow, Registry, type ServiceRow } from "../services/Registry.ts"
import type { Emit } from "./DeployEvent.ts"
import { deployLocked, waiting } from "./deploy.ts"
import { findService } from "./findService.ts"
import { DeploymentNotFound, NoRevision } from "./ProgramError.ts"
import { recover } from "./recover.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

export interface RollbackRequest {
  readonly service: string
  /** A deployment's id; absent: the revision before. */
  readonly to: string | undefined
  readonly noWait: boolean
  readonly wait: boolean
  readonly actor: string
}

export interface ImageChange {
  readonly component: string
  readonly from: string
  readonly to: string
}

/** What a rollback goes back to, told before it begins. */
export interface RollbackTarget {
  readonly deployment: string
  /** Nothing else differs: the definition can follow by its image lines. */
  readonly onlyImages: boolean
  readonly images: ReadonlyArray<ImageChange>
}

/** Revisions that are looked through for one to go back to. */
const looked = 1000

type Parts = ReadonlyMap<string, Pick<DeploymentStepRow, "component" | "imageId" | "secrets">>

const partsOf = (of: ReadonlyArray<Pick<DeploymentStepRow, "component" | "imageId" | "secrets">>): Parts =>
  new Map(of.map((each) => [each.component, each]))

const sameVersions = (secrets: ReadonlyArray<string>, a: SecretVersions = {}, b: SecretVersions = {}) =>
  secrets.every((secret) => a[secret] === b[secret])

/** Whether two states of a service are the same: the spec but for `active`, the images by their ids, the secrets. */
const same = (
  a: { readonly spec: ServiceSpec; readonly parts: Parts },
  b: { readonly spec: ServiceSpec; readonly parts: Parts }
) =>
  canonicalService({ ...a.spec, active: true }) === canonicalService({ ...b.spec, active: true }) &&
  a.spec.components.every(({ name, secrets }) => {
    const [one, other] = [a.parts.get(name), b.parts.get(name)]
    return one?.imageId === other?.imageId && sameVersions(secrets, one?.secrets, other?.secrets)
  })

const choose = (row: ServiceRow, to: string | undefined) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const { service } = row
    const revisions = yield* registry.revisions(service, looked)
    if (to !== undefined) {
      const found = revisions.find(({ id }) => id === to.toUpperCase())
      return found ?? (yield* new DeploymentNotFound({ service, deployment: to }))
    }
    const rows = yield* registry.components(service)
    const now = { spec: row.spec, parts: partsOf(rows) }
    for (const revision of revisions) {
      const parts = partsOf(yield* registry.steps(revision.id))
      if (!same({ spec: revision.spec, parts }, now)) return revision
    }
    return yield* new NoRevision({ service })
  })

const targetOf = (from: ServiceSpec, revision: DeploymentRow): RollbackTarget => {
  const before = new Map(from.components.map((component) => [component.name as string, component]))
  const images = revision.spec.components.flatMap(({ image, name: component }): ReadonlyArray<ImageChange> => {
    const now = before.get(component)?.image
    return now === undefined || now === image ? [] : [{ component, from: now, to: image }]
  })
  const follow = (component: ComponentSpec): ComponentSpec => ({
    ...component,
    image: images.find((change) => change.component === component.name)?.to ?? component.image
  })
  const [first, ...rest] = from.components
  const withImages: ServiceSpec = { ...from, components: [follow(first), ...rest.map(follow)] }
  const alike =
    canonicalService({ ...withImages, active: true }) === canonicalService({ ...revision.spec, active: true })
  // An image that moved under its name cannot be said by an image line.
  return { deployment: revision.id, onlyImages: alike && images.length > 0, images }
}

/**
 * Brings a service back to an earlier revision, whole: spec and images as they were, by a deployment of its own. Whether
 * the service is to run stays as it is. The definition that was rolled back from is skipped until it changes.
 */
export const rollback = (
  request: RollbackRequest,
  emit: Emit,
  found: (target: RollbackTarget) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const { service } = request
    const registry = yield* Registry
    const locks = yield* ServiceLocks
    yield* findService(service)
    const result = yield* locks.withLock(
      service,
      "a rollback",
      waiting(request.wait, emit)
    )(
      Effect.gen(function* () {
        yield* recover(service)
        const row = yield* findService(service)
        const revision = yield* choose(row, request.to)
        const target = targetOf(row.spec, revision)
        yield* found(target)
        const steps = yield* registry.steps(revision.id)
        const pinned = new Map(
          steps.flatMap(({ component, imageDigest, imageId }) =>
            imageId === undefined ? [] : [[component, { imageId, digest: imageDigest }] as const]
          )
        )
        const secrets = new Map(steps.map((step) => [step.component, step.secrets]))
        const spec = { ...revision.spec, active: row.desired !== "stopped" }
        return yield* deployLocked(
          {
            spec,
            components: [],
            force: false,
            pull: false,
            noWait: request.noWait,
            wait: false,
            respectPin: false,
            actor: request.actor
          },
          {
            kind: "rollback",
            pinned,
            secrets,
            rollbackTo: revision.id,
            pinnedFrom: row.pinnedFrom ?? serviceHash(row.spec)
          },
          emit
        )
      })
    )
    yield* emit({ _tag: "Result", result })
    return result
  }).pipe(Effect.annotateLogs({ service: request.service }))
