import type { Described, ImageSettings } from "./describe.ts"

type Container = typeof Described.Type
type Image = typeof ImageSettings.Type

const each = (what: string, values: ReadonlyArray<string>) => values.map((value) => `${what} ${value}`)
const other = (what: string, value: string, usual: ReadonlyArray<string>) =>
  value === "" || usual.includes(value) ? [] : [`${what} ${value}`]
const when = (holds: boolean, what: string) => (holds ? [what] : [])

/** A root that is read-only gets these by itself. */
const readOnlyTmpfs = ["/run", "/tmp", "/var/tmp"]

/** Options that inspect does not tell of. */
const untold =
  /^--(?:ip6?|mac-address|sysctl|ulimit|annotation|network-alias|tz|seccomp-policy|gidmap|uidmap|unsetenv(?:-all)?)(?:=|$)/

const rights = ({ HostConfig: host }: Container) => [
  ...when(host.Privileged, "privileged"),
  ...each(
    "device",
    host.Devices.map(({ PathOnHost }) => PathOnHost)
  ),
  ...each("added capability", host.CapAdd),
  // A privileged container lacks what its host lacks.
  ...(host.Privileged ? [] : each("dropped capability", host.CapDrop)),
  ...each("security option", host.SecurityOpt),
  ...when(host.ReadonlyRootfs, "a read-only root"),
  ...each("added group", host.GroupAdd),
  ...other("pid namespace", host.PidMode, ["private"]),
  ...other("ipc namespace", host.IpcMode, ["private", "shareable"]),
  ...other("uts namespace", host.UTSMode, ["private"]),
  ...other("user namespace", host.UsernsMode, ["host"])
]

const mounts = ({ Config, HostConfig: host, Mounts }: Container) => [
  ...each(
    "tmpfs",
    Object.keys(host.Tmpfs ?? {}).filter((path) => !host.ReadonlyRootfs || !readOnlyTmpfs.includes(path))
  ),
  ...Mounts.flatMap(({ Destination, Options, Propagation, Type }) => [
    ...when(Type !== "bind" && Type !== "volume", `${Type} mount at ${Destination}`),
    ...other(`mount propagation at ${Destination}:`, Propagation, ["rprivate", "private"]),
    ...(Type === "bind"
      ? each(
          `mount option at ${Destination}:`,
          Options.filter((o) => !/^r?bind$|^r[ow]$/.test(o))
        )
      : [])
  ]),
  ...each(
    "podman secret",
    Config.Secrets.map(({ Name }) => Name)
  ),
  ...when(host.ShmSize > 0 && host.ShmSize !== 65_536_000, "a size of /dev/shm")
]

const limits = ({ Config, HostConfig: host }: Container) => [
  ...when(host.PidsLimit > 0 && host.PidsLimit !== 2048, `a limit of ${host.PidsLimit} processes`),
  ...when(host.CpuShares > 0, `${host.CpuShares} CPU shares`),
  ...other("CPUs", host.CpusetCpus, []),
  ...other("memory nodes", host.CpusetMems, []),
  ...when(host.BlkioWeight > 0, "a weight of block I/O"),
  ...when(host.MemoryReservation > 0, "a memory reservation"),
  ...when(![-1, 0, host.Memory, 2 * host.Memory].includes(host.MemorySwap), "a limit of memory and swap"),
  ...when(host.OomScoreAdj !== 0, "an OOM score"),
  ...when(Config.Timeout > 0, `an end after ${Config.Timeout} s`)
]

const names = ({ Config, HostConfig: host, Id, NetworkSettings, Pod }: Container) => [
  ...each("name server", host.Dns),
  ...each("DNS option", host.DnsOptions),
  ...each("DNS search domain", host.DnsSearch),
  ...each("host entry", host.ExtraHosts),
  ...(host.NetworkMode === "host" || host.UTSMode === "host"
    ? []
    : other("host name", Config.Hostname, [Id.slice(0, 12)])),
  ...Object.values(NetworkSettings.Networks).flatMap(({ Aliases }) =>
    each(
      "network alias",
      Aliases.filter((alias) => alias !== Id.slice(0, 12))
    )
  ),
  ...when(Pod !== "", "its pod"),
  ...Object.keys(host.PortBindings ?? {})
    .filter((port) => !/\/(?:tcp|udp)$/.test(port))
    .map((port) => `port ${port}`)
]

const signals: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGWINCH: 28
}
const signalOf = (name: string) => (name === "" ? 15 : (signals[name.replace(/^(?:SIG)?/, "SIG")] ?? Number(name)))
const sameSignal = (of: unknown, image: string) => {
  const own = typeof of === "number" ? of : typeof of === "string" ? signalOf(of) : 15
  return own === signalOf(image)
}

const program = ({ Config, HostConfig: host }: Container, image: Image) => [
  ...when(host.Init, "an init process"),
  ...when(Config.Tty, "a terminal"),
  ...when(Config.OpenStdin, "an open standard input"),
  ...other("working directory", Config.WorkingDir, [image.Config.WorkingDir || "/"]),
  ...when(!sameSignal(Config.StopSignal, image.Config.StopSignal), `stop signal ${Config.StopSignal}`),
  ...other("umask", Config.Umask, ["0022"]),
  ...other("log driver", host.LogConfig?.Type ?? "", ["k8s-file", "json-file", "journald"]),
  ...when(host.AutoRemove, "its own removal when it ends (--rm)")
]

const labels = ({ Config }: Container, image: Image) => {
  const own = Object.keys(Config.Labels ?? {}).filter(
    (key) => !key.startsWith("mcp.") && image.Config.Labels?.[key] !== Config.Labels?.[key]
  )
  return own.length === 0 ? [] : [`labels ${own.sort().join(", ")}`]
}

const options = ({ Config, NetworkSettings }: Container) =>
  Config.CreateCommand.flatMap((word) => {
    const name = untold.test(word) ? word.split("=")[0] : undefined
    const seen = name === "--network-alias" && Object.keys(NetworkSettings.Networks).length > 0
    return name === undefined || seen ? [] : [`option ${name}`]
  })

/** What a container was made with that MCP knows no key for, each in a few words. */
export const beyond = (one: Container, image: Image): ReadonlyArray<string> => [
  ...new Set([
    ...rights(one),
    ...mounts(one),
    ...limits(one),
    ...names(one),
    ...program(one, image),
    ...labels(one, image),
    ...options(one)
  ])
]
