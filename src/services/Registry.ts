import { Context, type Effect, type Option, type Queue, type Scope } from "effect"
import type { Watched } from "../domain/Alerting.ts"
import type { SecretPlace, SecretVersions } from "../domain/Secret.ts"
import type { ServiceSpec, UpdateOrder } from "../domain/Spec.ts"
import type {
  Action,
  DeploymentKind,
  DeploymentState,
  DesiredState,
  EventKind,
  ObservedState,
  RestoreState
} from "../domain/State.ts"
import type { RegistryUnavailable } from "./RegistryError.ts"

/** A service's row. Times are milliseconds since the epoch. */
export interface ServiceRow {
  readonly service: string
  readonly spec: ServiceSpec
  readonly desired: DesiredState
  readonly undeploying: boolean
  /** Hash of the definition that was rolled back from: it is skipped until it changes. */
  readonly pinnedFrom?: string | undefined
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
  /** The restart policy of podman's own that an adopted container keeps; absent: podman leaves it as it ended. */
  readonly podmanRestart?: string | undefined
  /** Those that its container was made with. */
  readonly secrets: SecretVersions
}

/** Why a deployment went back, kept with it. */
export interface DeploymentFailure {
  /** Empty: the whole service. */
  readonly component: string
  /** Stable, such as `EXITED_1`. */
  readonly reason: string
  readonly message: string
  /** The failed container's last lines. */
  readonly lastLogs: ReadonlyArray<string>
}

export interface DeploymentRow {
  readonly id: string
  readonly service: string
  readonly kind: DeploymentKind
  readonly spec: ServiceSpec
  readonly actor: string
  readonly state: DeploymentState
  /** The routes lead to the new containers: from here on there is only forward. */
  readonly switched: boolean
  /** Nothing that it made or replaced is left over. */
  readonly swept: boolean
  readonly startedAt: number
  readonly finishedAt?: number | undefined
  readonly failure?: DeploymentFailure | undefined
  /** What holds it up while it is under way. */
  readonly lastError?: string | undefined
  /** Of a rollback: the deployment that it went back to. */
  readonly rollbackTo?: string | undefined
  /** Hash of the definition that the service is pinned from once this has succeeded. */
  readonly pinnedFrom?: string | undefined
}

/**
 * What a deployment means to do with one component, written before the runtime is touched: from these rows and the
 * containers' labels alone a crash is resolved. A revision has one for each component of its spec.
 */
export interface DeploymentStepRow {
  readonly deployment: string
  readonly component: string
  readonly action: Action
  readonly updateOrder: UpdateOrder
  readonly generation: number
  readonly fromImage?: string | undefined
  readonly imageId?: string | undefined
  /** `repository@sha256:…`, by which the image can be pulled again. */
  readonly imageDigest?: string | undefined
  readonly newContainerId?: string | undefined
  readonly previousContainerId?: string | undefined
  /** Whether the previous container ran, or was to run: only then it runs again when the deployment goes back. */
  readonly previousRan: boolean
  /** Those of the revision. */
  readonly secrets: SecretVersions
}

/** One version of a secret, as the agent keeps it. */
export interface SecretRow extends SecretPlace {
  /** Absent: it was removed, and only its number is known. */
  readonly ciphertext?: string | undefined
  readonly actor: string
  readonly createdAt: number
}

/** A host port that the agent has given to a route. Without a container: to one that is about to be made. */
export interface PortRow {
  readonly port: number
  readonly service: string
  readonly component: string
  /** Empty for a lone route without a name. */
  readonly route: string
  readonly deployment: string
  readonly containerId?: string | undefined
}

/** How often the agent has started a container again, and when it does so next. */
export interface RestartRow {
  readonly service: string
  readonly component: string
  readonly containerId: string
  readonly restarts: number
  /** Of those, since it last ran for long enough: what `on-failure:N` counts. */
  readonly failures: number
  readonly delayMs: number
  readonly endedAt: number
  readonly nextAt?: number | undefined
  /** It has ended as its policy has it: also should it be lost, it is not made again in its generation. */
  readonly rests: boolean
}

/** An image that MCP has brought to the node: what it removes when nothing uses it any more. */
export interface PulledImageRow {
  readonly imageId: string
  readonly reference: string
  /** It was loaded, and nothing has been deployed with it since. */
  readonly waits: boolean
}

/** Something that became otherwise. */
export interface EventRow {
  /** In the order in which they were written. */
  readonly id: number
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly service: string
  /** Empty: of the whole service. */
  readonly component: string
  readonly kind: EventKind
  readonly from: string
  readonly to: string
  readonly message: string
  /** Stable, such as `EXITED_1` or `IMAGE_NOT_FOUND`; empty where there is none. */
  readonly reason: string
  /** Who did it; empty when nobody did. */
  readonly actor: string
}

/** What is remembered of a component's drift, so that no alert is sent twice. */
export interface WatchedRow {
  readonly service: string
  readonly component: string
  readonly state: Watched
}

/** A maintenance window: no alerts until it is over. */
export interface SilenceRow {
  readonly service: string
  /** Empty: the whole service. */
  readonly component: string
  /** Milliseconds since the epoch. */
  readonly until: number
  readonly actor: string
}

/** A restore of a service's data that is under way, or that a crash has cut off; it goes once nothing of it is left over. */
export interface RestoreRow {
  readonly id: string
  readonly service: string
  /** The snapshot's id. */
  readonly snapshot: string
  readonly actor: string
  readonly state: RestoreState
  /** Components whose containers ran before, and run again afterwards. */
  readonly running: ReadonlyArray<string>
  readonly startedAt: number
  /** Why it went back. */
  readonly failure?: DeploymentFailure | undefined
}

/** An event as it is written down. */
export type NewEvent = Omit<EventRow, "id" | "at" | "reason"> & { readonly reason?: string }

/** What an adopt writes at once. */
export interface Adoption {
  readonly deployment: Pick<DeploymentRow, "id" | "spec" | "actor">
  readonly steps: ReadonlyArray<Omit<DeploymentStepRow, "deployment" | "newContainerId">>
  readonly service: Omit<ServiceRow, "updatedAt">
  readonly components: ReadonlyArray<Omit<ComponentRow, "observedAt">>
  readonly ports: ReadonlyArray<Omit<PortRow, "deployment">>
  /** Those whose label the containers carry: the service's bridge carries it too. */
  readonly registries: ReadonlyArray<string>
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
    /** Who changes it is in the event that tells of it. */
    readonly setDesired: (
      service: string,
      component: string | undefined,
      desired: DesiredState,
      actor?: string
    ) => Write
    readonly setObserved: (service: string, component: string, observed: ObservedState) => Write
    /** What was seen of many, in one transaction; an event tells of each that changed, with its message. */
    readonly observe: (
      seen: ReadonlyArray<Pick<ComponentRow, "service" | "component" | "observed"> & { readonly message: string }>
    ) => Write
    /** Steps and the state `starting`, in one transaction. */
    readonly beginDeployment: (
      row: Pick<DeploymentRow, "id" | "service" | "kind" | "spec" | "actor" | "rollbackTo" | "pinnedFrom">,
      steps: ReadonlyArray<Omit<DeploymentStepRow, "deployment" | "newContainerId">>
    ) => Write
    readonly setNewContainer: (deployment: string, component: string, containerId: string) => Write
    readonly setDeploymentState: (deployment: string, state: DeploymentState, failure?: DeploymentFailure) => Write
    readonly setSwitched: (deployment: string) => Write
    readonly setSwept: (service: string) => Write
    /** A container is about to be made again for a deployment that is over: what is cut off there is left over too. */
    readonly setUnswept: (deployment: string) => Write
    readonly setLastError: (deployment: string, lastError: string) => Write
    /** One transaction: the deployment has succeeded, and these are the components now. */
    readonly commitDeployment: (
      deployment: string,
      service: Omit<ServiceRow, "updatedAt">,
      components: ReadonlyArray<Omit<ComponentRow, "observedAt">>
    ) => Write
    /** One transaction: containers that no row named are components now, by a deployment that has succeeded. */
    readonly adopt: (adoption: Adoption) => Write
    /** The registries that made containers of the service before it was adopted. */
    readonly adoptedRegistries: (service: string) => Read<ReadonlyArray<string>>
    /** Of one service, or of all: ids of the containers that deployments replaced which have succeeded and are not swept. */
    readonly replaced: (service?: string) => Read<ReadonlyArray<string>>
    readonly deployment: (id: string) => Read<Option.Option<DeploymentRow>>
    /** Newest first. */
    readonly deployments: (service: string, limit: number) => Read<ReadonlyArray<DeploymentRow>>
    /** The newest `limit` of each service, newest first. */
    readonly lastDeployments: (limit: number) => Read<ReadonlyArray<DeploymentRow>>
    /** Those that brought the service to a spec, newest first. */
    readonly revisions: (service: string, limit: number) => Read<ReadonlyArray<DeploymentRow>>
    /** Those between two states: under way, or left so by a crash. */
    readonly unfinishedDeployments: Read<ReadonlyArray<DeploymentRow>>
    /** Services of which something may be left over. */
    readonly unswept: Read<ReadonlyArray<string>>
    readonly steps: (deployment: string) => Read<ReadonlyArray<DeploymentStepRow>>
    /** Of one service, or of all when none is named. */
    readonly ports: (service?: string) => Read<ReadonlyArray<PortRow>>
    /** Answers false when another row has the port. */
    readonly reservePort: (row: Omit<PortRow, "containerId">) => Effect.Effect<boolean, RegistryUnavailable>
    /** The reserved ports belong to this container now. */
    readonly bindPorts: (deployment: string, component: string, containerId: string) => Write
    readonly releasePorts: (containerId: string) => Write
    /** Drops the ports of a service that belong to no container that a component's row names. */
    readonly releaseStrayPorts: (service: string) => Write
    /** What no other row tells; changes of desired and observed states and of deployments are recorded with them. */
    readonly recordEvent: (event: NewEvent) => Write
    /** The newest `limit` of those after an id and since a time, oldest first. */
    readonly events: (wanted: {
      readonly service?: string | undefined
      readonly component?: string | undefined
      readonly since: number
      readonly after: number
      readonly limit: number
    }) => Read<ReadonlyArray<EventRow>>
    readonly pruneEvents: (before: number) => Write
    /** The newest `limit` of each service, oldest first. */
    readonly lastEvents: (limit: number) => Read<ReadonlyArray<EventRow>>
    /** The oldest `limit` of those after an id, oldest first. */
    readonly eventsAfter: (wanted: {
      readonly service?: string | undefined
      readonly component?: string | undefined
      readonly after: number
      readonly limit: number
    }) => Read<ReadonlyArray<EventRow>>
    /** Tells that there may be events which a reader has not seen. */
    readonly eventsWritten: Effect.Effect<Queue.Dequeue<void>, never, Scope.Scope>
    readonly watched: Read<ReadonlyArray<WatchedRow>>
    /** Without a state it is forgotten. */
    readonly putWatched: (service: string, component: string, state: Watched | undefined) => Write
    readonly silences: Read<ReadonlyArray<SilenceRow>>
    readonly putSilence: (row: SilenceRow) => Write
    readonly dropSilence: (service: string, component: string) => Write
    /** Those that are not over, of all services. */
    readonly restores: Read<ReadonlyArray<RestoreRow>>
    /** One transaction with the event, where there is one. */
    readonly putRestore: (row: RestoreRow, event?: NewEvent) => Write
    readonly dropRestore: (id: string) => Write
    readonly restarts: Read<ReadonlyArray<RestartRow>>
    readonly putRestart: (row: RestartRow) => Write
    readonly dropRestart: (service: string, component: string) => Write
    /** The images that MCP has pulled or loaded. */
    readonly pulledImages: Read<ReadonlyArray<PulledImageRow>>
    readonly notePulledImage: (imageId: string, reference: string) => Write
    /** It waits from now on, whatever was known of it. */
    readonly noteLoadedImage: (imageId: string, reference: string) => Write
    readonly noteImageDeployed: (imageId: string) => Write
    readonly forgetPulledImage: (imageId: string) => Write
    /** Ids of the images of each service's components and of its newest `revisions` revisions. */
    readonly imagesInUse: (revisions: number) => Read<ReadonlyArray<string>>
    /** All kept versions of a service's secrets, by name, newest first; of all services when none is named. */
    readonly secrets: (service?: string) => Read<ReadonlyArray<SecretRow>>
    /** Whether the agent keeps any value. */
    readonly keepsSecrets: Read<boolean>
    /** Answers false when the secret has this version, or a newer one, already: a number never means two values. */
    readonly putSecret: (
      row: Omit<SecretRow, "createdAt" | "ciphertext"> & { readonly ciphertext: string }
    ) => Effect.Effect<boolean, RegistryUnavailable>
    /** Its values are gone for good; its last number stays known. */
    readonly removeSecret: (service: string, secret: string) => Write
    /** Drops the versions that are neither the newest, nor a component's, nor of a deployment under way or one of the newest `revisions`. */
    readonly pruneSecrets: (service: string, revisions: number) => Write
  }
>() {}
