/** A health check of podman's own. */
export interface OwnHealth {
  readonly argv: ReadonlyArray<string>
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly retries: number
  readonly startPeriodMs: number
}

/** What starts in a container, and as whom; an image has these too, and they hold unless the container has others. */
export interface Settings {
  readonly entrypoint: ReadonlyArray<string>
  readonly cmd: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  /** Empty: root. */
  readonly user: string
}

/** All that a container was made with, whoever made it. Times are milliseconds since the epoch. */
export interface Described extends Settings {
  readonly createdAt: number
  /** What its image sets by itself, and what that is called by now. */
  readonly image: Settings & { readonly references: ReadonlyArray<string>; readonly digests: ReadonlyArray<string> }
  /** `host`, `none`, or bridges; what else there is as podman calls it. */
  readonly networks: ReadonlyArray<string>
  readonly volumes: ReadonlyArray<{ readonly source: string; readonly target: string; readonly readOnly: boolean }>
  readonly memory: number | undefined
  readonly cpus: number | undefined
  readonly stopTimeoutMs: number
  /** `no` when podman leaves it as it ended. */
  readonly restart: string
  readonly health: OwnHealth | undefined
  /** What a definition has no key for, each in a few words: `device /dev/kvm`. Never a value of the environment. */
  readonly beyond: ReadonlyArray<string>
}
