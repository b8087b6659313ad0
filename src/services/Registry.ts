import { Context, type Effect, type Option } from "effect"
import type { ServiceSpec } from "../domain/Spec.ts"
import type { Action, DeploymentState, DesiredState, ObservedState } from "../domain/State.ts"
import type { RegistryUnavailable } from "./RegistryError.ts"

/** A service's row. Times are milliseconds since the epoch. */
export interface ServiceRow {
  readonly service: string
  readonly spec: ServiceSpec
  readonly desired: DesiredState
  readonly undeploying: boolean
  readonly updatedAt: number
}

export interface ComponentRow {
  readonly service: string
  readonly component: string
  readonly desired: DesiredState
  /** Hash of the component's spec that its container was made from. */
  readonly specHash: string
  readonly generation: number
  readonly containerId?: string | undefined
  readonly imageId?: string | undefined
  readonly image: string
  readonly observed: ObservedState
  readonly observedAt: number
}

export interface DeploymentRow {
  readonly id: string
  readonly service: string
  readonly spec: ServiceSpec
  readonly actor: string
  readonly state: DeploymentState
  readonly startedAt: number
  readonly finishedAt?: number | undefined
  readonly error?: string | undefined
}

/**
 * What a deployment means to do with one component, written before the runtime is touched: from these rows and the
 * containers' labels alone a crash is resolved.
 */
export interface DeploymentStepRow {
  readonly deployment: string
  readonly component: string
  readonly action: Action
  readonly newContainerId?: string | undefined
  readonly previousContainerId?: string | undefined
  /** Whether the previous container was to run: only then is it started again when the deployment goes back. */
  readonly previousRan: boolean
}

type Read<A> = Effect.Effect<A, RegistryUnavailable>
type Write = Effect.Effect<void, RegistryUnavailable>

/** The agent's database: what should be, what was seen, and what was done. */
export class Registry extends Context.Tag("mcp/Registry")<
  Registry,
  {
    /** ULID of this registry, made with it. */
    readonly id: string
    readonly services: Read<ReadonlyArray<ServiceRow>>
    readonly service: (service: string) => Read<Option.Option<ServiceRow>>
    readonly putService: (row: Omit<ServiceRow, "updatedAt">) => Write
    readonly removeService: (service: string) => Write
    /** Of one service, or of all when none is named; sorted by service and component. */
    readonly components: (service?: string) => Read<ReadonlyArray<ComponentRow>>
    readonly putComponent: (row: Omit<ComponentRow, "observedAt">) => Write
    readonly removeComponent: (service: string, component: string) => Write
    readonly setDesired: (service: string, component: string | undefined, desired: DesiredState) => Write
    readonly setObserved: (service: string, component: string, observed: ObservedState) => Write
    readonly beginDeployment: (
      row: Omit<DeploymentRow, "startedAt" | "finishedAt" | "error" | "state">,
      steps: ReadonlyArray<Omit<DeploymentStepRow, "deployment" | "newContainerId">>
    ) => Write
    readonly setNewContainer: (deployment: string, component: string, containerId: string) => Write
    readonly setDeploymentState: (deployment: string, state: DeploymentState, error?: string) => Write
    /** One transaction: the deployment is over, and these are the components now. */
    readonly commitDeployment: (
      deployment: string,
      service: Omit<ServiceRow, "updatedAt">,
      components: ReadonlyArray<Omit<ComponentRow, "observedAt">>
    ) => Write
    /** Newest first. */
    readonly deployments: (service: string, limit: number) => Read<ReadonlyArray<DeploymentRow>>
    /** Those that a crash left between two states. */
    readonly unfinishedDeployments: Read<ReadonlyArray<DeploymentRow>>
    readonly steps: (deployment: string) => Read<ReadonlyArray<DeploymentStepRow>>
  }
>() {}
