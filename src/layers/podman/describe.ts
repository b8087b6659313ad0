import { Schema } from "effect"
import type { OwnHealth, Settings } from "../../domain/Described.ts"
import type { Description } from "../../services/ContainerRuntime.ts"
import { beyond } from "./beyond.ts"
import { Inspected, inspected } from "./facts.ts"

const Strings = Schema.NullishOr(Schema.Array(Schema.String))
const Labels = Schema.NullishOr(Schema.Record({ key: Schema.String, value: Schema.String }))
const text = Schema.optionalWith(Schema.String, { default: () => "", nullable: true })
const number = Schema.optionalWith(Schema.Number, { default: () => 0, nullable: true })
const flag = Schema.optionalWith(Schema.Boolean, { default: () => false, nullable: true })
const strings = Schema.optionalWith(Schema.Array(Schema.String), { default: () => [], nullable: true })

const Healthcheck = Schema.NullishOr(
  Schema.Struct({ Test: Strings, Interval: number, Timeout: number, Retries: number, StartPeriod: number })
)

const Config = Schema.Struct({
  ...Inspected.fields.Config.fields,
  Hostname: text,
  User: text,
  Tty: flag,
  OpenStdin: flag,
  Env: strings,
  Cmd: strings,
  WorkingDir: text,
  StopSignal: Schema.Unknown,
  StopTimeout: number,
  Timeout: number,
  Umask: text,
  Healthcheck: Schema.optional(Healthcheck),
  CreateCommand: strings,
  Secrets: Schema.optionalWith(Schema.Array(Schema.Struct({ Name: text })), { default: () => [], nullable: true })
})

const HostConfig = Schema.Struct({
  ...Inspected.fields.HostConfig.fields,
  NetworkMode: text,
  RestartPolicy: Schema.Struct({ Name: text, MaximumRetryCount: number }),
  AutoRemove: flag,
  CapAdd: strings,
  CapDrop: strings,
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  GroupAdd: strings,
  IpcMode: text,
  PidMode: text,
  UTSMode: text,
  UsernsMode: text,
  Privileged: flag,
  ReadonlyRootfs: flag,
  SecurityOpt: strings,
  Tmpfs: Labels,
  ShmSize: number,
  OomScoreAdj: number,
  CpuShares: number,
  CpusetCpus: text,
  CpusetMems: text,
  BlkioWeight: number,
  Memory: number,
  MemoryReservation: number,
  MemorySwap: number,
  NanoCpus: number,
  PidsLimit: number,
  Init: flag,
  LogConfig: Schema.optional(Schema.Struct({ Type: text })),
  Devices: Schema.optionalWith(Schema.Array(Schema.Struct({ PathOnHost: text })), { default: () => [], nullable: true })
})

/** A container's inspect in full, as podman 4 and 5 have it; what a version leaves out has the value of doing nothing. */
export const Described = Schema.Struct({
  ...Inspected.fields,
  Created: Schema.String,
  Path: text,
  Args: strings,
  Pod: text,
  Config,
  HostConfig,
  Mounts: Schema.optionalWith(
    Schema.Array(
      Schema.Struct({
        Type: text,
        Name: text,
        Source: text,
        Destination: text,
        RW: flag,
        Options: strings,
        Propagation: text
      })
    ),
    { default: () => [], nullable: true }
  ),
  NetworkSettings: Schema.Struct({
    Networks: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.Struct({ Aliases: strings }) }), {
      default: () => ({}),
      nullable: true
    })
  })
})

export const ImageSettings = Schema.Struct({
  RepoTags: strings,
  RepoDigests: strings,
  User: text,
  Config: Schema.optionalWith(
    Schema.Struct({
      Env: strings,
      Cmd: strings,
      Entrypoint: Schema.optionalWith(Schema.Union(Schema.Array(Schema.String), Schema.String), {
        default: () => [],
        nullable: true
      }),
      WorkingDir: text,
      StopSignal: text,
      Labels: Schema.optional(Labels)
    }),
    {
      default: () => ({ Env: [], Cmd: [], Entrypoint: [], WorkingDir: "", StopSignal: "", Labels: undefined }),
      nullable: true
    }
  )
})

type Described = typeof Described.Type
type ImageSettings = typeof ImageSettings.Type

const pairs = (env: ReadonlyArray<string>) =>
  Object.fromEntries(env.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]))

/** podman joins an entrypoint of several words into one text: what really starts tells them apart. */
const entrypointOf = ({ Args, Config, HostConfig, Path }: Described) => {
  const argv = HostConfig.Init && Args[0] === "--" ? Args.slice(1) : [Path, ...Args]
  return argv.slice(0, Math.max(0, argv.length - Config.Cmd.length)).filter((word, i) => i > 0 || word !== "")
}

/** What podman gives every container by itself. */
const podmansOwn = ({ Config }: Described): Readonly<Record<string, string>> => ({
  container: "podman",
  TERM: "xterm",
  HOSTNAME: Config.Hostname
})

const envOf = (one: Described) => {
  const own = podmansOwn(one)
  return Object.fromEntries(Object.entries(pairs(one.Config.Env)).filter(([key, value]) => own[key] !== value))
}

const networksOf = ({ HostConfig, NetworkSettings }: Described) => {
  const names = Object.keys(NetworkSettings.Networks).sort()
  return names.length > 0 && HostConfig.NetworkMode === "bridge" ? names : [HostConfig.NetworkMode]
}

const restartOf = ({ HostConfig }: Described) => {
  const { MaximumRetryCount, Name } = HostConfig.RestartPolicy
  if (Name === "") return "no"
  return Name === "on-failure" && MaximumRetryCount > 0 ? `on-failure:${MaximumRetryCount}` : Name
}

const healthOf = ({ Config }: Described): OwnHealth | undefined => {
  const check = Config.Healthcheck
  const [kind, ...argv] = check?.Test ?? []
  if (!check || kind === undefined || kind === "NONE" || argv.length === 0) return undefined
  const millis = (nanos: number) => Math.round(nanos / 1e6)
  return {
    argv: kind === "CMD-SHELL" ? ["/bin/sh", "-c", argv.join(" ")] : argv,
    intervalMs: millis(check.Interval),
    timeoutMs: millis(check.Timeout),
    retries: check.Retries,
    startPeriodMs: millis(check.StartPeriod)
  }
}

export const imageSettings = ({ Config, User }: ImageSettings): Settings => ({
  entrypoint: typeof Config.Entrypoint === "string" ? [Config.Entrypoint] : Config.Entrypoint,
  cmd: Config.Cmd,
  env: pairs(Config.Env),
  user: User
})

export const described = (one: Described, image: ImageSettings): Description => ({
  container: inspected(one),
  createdAt: Date.parse(one.Created),
  entrypoint: entrypointOf(one),
  cmd: one.Config.Cmd,
  env: envOf(one),
  user: one.Config.User,
  image: { ...imageSettings(image), references: image.RepoTags, digests: image.RepoDigests },
  networks: networksOf(one),
  volumes: one.Mounts.filter(({ Type }) => Type === "bind" || Type === "volume").map((mount) => ({
    source: mount.Type === "volume" ? mount.Name : mount.Source,
    target: mount.Destination,
    readOnly: !mount.RW
  })),
  memory: one.HostConfig.Memory > 0 ? one.HostConfig.Memory : undefined,
  cpus: one.HostConfig.NanoCpus > 0 ? one.HostConfig.NanoCpus / 1e9 : undefined,
  stopTimeoutMs: one.Config.StopTimeout * 1000,
  restart: restartOf(one),
  health: healthOf(one),
  beyond: beyond(one, image)
})
