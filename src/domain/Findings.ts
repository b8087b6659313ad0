import type { ProbeRun } from "./Probed.ts"
import type { ComponentSpec } from "./Spec.ts"
import type { DeploymentKind, DeploymentState, DesiredState, HealthState } from "./State.ts"

/** Something that failed, as the registry has recorded it. */
export interface Failed {
  /** Empty: the whole service. */
  readonly component: string
  /** Stable, such as `EXITED_1` or `IMAGE_NOT_FOUND`. */
  readonly reason: string
  readonly message: string
}

/** A volume that is mounted to be written, and that the component's user cannot write. */
export interface Unwritable {
  readonly path: string
  /** `uid:gid` of who cannot. */
  readonly owner: string
  readonly why: string
}

/** How a container ended. */
export interface End {
  /** `exited_1`, `oom_killed` or `killed_perhaps_oom`. */
  readonly reason: string
  readonly at: number | undefined
}

/** The last attempt to bring the service to a spec, unless it succeeded or something was accepted since. */
export interface Attempt {
  readonly kind: DeploymentKind
  readonly actor: string
  readonly at: number
  readonly state: "under_way" | "rolled_back" | "refused"
  /** Of one under way. */
  readonly stage?: DeploymentState | undefined
  readonly lastError?: string | undefined
  readonly failure?: Failed | undefined
}

/** All that is known of one component, from which its cause follows. Times are milliseconds since the epoch. */
export interface Findings {
  readonly now: number
  readonly service: string
  readonly component: string
  /** As an operator types it. */
  readonly target: string
  readonly containerName: string
  /** Of what is to be explained: of an attempt that came to nothing, its own. */
  readonly spec: ComponentSpec | undefined
  /** Undefined: the registry has no such component any more, or not yet. */
  readonly desired: DesiredState | undefined
  readonly desiredBy?: { readonly actor: string; readonly at: number; readonly deployed: boolean } | undefined
  readonly undeploying: boolean
  readonly undeployedAt?: number | undefined
  /** Why the runtime does not answer. */
  readonly runtimeError?: string | undefined
  /** Whether the registry names a container. */
  readonly named: boolean
  readonly container?:
    | { readonly state: string; readonly startedAt: number | undefined; readonly exitCode: number | undefined }
    | undefined
  /** No container of MCP's own making. */
  readonly adopted: boolean
  readonly end?: End | undefined
  readonly restarts: number
  /** Of those, since it last ran for long enough. */
  readonly failures: number
  readonly restartAt?: number | undefined
  readonly probe?:
    | {
        readonly state: HealthState
        readonly detail: string
        /** Since when each probe has failed. */
        readonly failing: number | undefined
      }
    | undefined
  readonly probes: ReadonlyArray<ProbeRun>
  /** A start that failed after the container last ran. */
  readonly failedStart?: (Failed & { readonly at: number; readonly actor: string }) | undefined
  readonly attempt?: Attempt | undefined
  /** The last lines of what failed or ended. */
  readonly logs: ReadonlyArray<string>
  /** Volumes that its user cannot write. */
  readonly unwritable: ReadonlyArray<Unwritable>
}
