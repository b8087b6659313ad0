import { containerName, serviceNetwork } from "./Names.ts"
import { formatDuration } from "./Scalars.ts"
import type { ComponentSpec, ServiceSpec } from "./Spec.ts"

/** A unit that podman's generator makes a systemd service of. */
export interface Unit {
  readonly file: string
  readonly text: string
}

/** The generator hands values on to ExecStart=, where systemd reads % as a specifier and $ as a variable. */
const literal = (value: string) => value.replaceAll("%", "%%").replaceAll("$", "$$$$")

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r" }

/** One word where systemd splits a value into words. */
const word = (value: string) =>
  /^[\w./:=@%+,-]+$/.test(value)
    ? literal(value)
    : `"${literal(value).replace(/[\\"\n\t\r]/g, (c) => escapes[c] ?? c)}"`

const words = (values: ReadonlyArray<string>) => values.map(word).join(" ")

const seconds = (millis: number) => String(Math.max(1, Math.ceil(millis / 1000)))

const line = (key: string, value: string | undefined) => (value === undefined ? [] : [`${key}=${value}`])
const each = (key: string, values: ReadonlyArray<string>) => values.map((value) => `${key}=${value}`)

const section = (name: string, lines: ReadonlyArray<string>) => (lines.length === 0 ? [] : [`[${name}]`, ...lines, ""])

const restarts: Readonly<Record<string, string>> = { no: "no", always: "always", "unless-stopped": "always" }

const restartLines = ({ restart }: ComponentSpec) => [
  `Restart=${restarts[restart] ?? "on-failure"}`,
  ...(restart === "no" ? [] : ["RestartSec=1"])
]

/** `StartLimitBurst=N` starts in an interval without end is `on-failure:N`, the first start among them. */
const limitLines = ({ restart }: ComponentSpec) => {
  const most = /^on-failure:(\d+)$/.exec(restart)?.[1]
  return most === undefined ? [] : ["StartLimitIntervalSec=infinity", `StartLimitBurst=${Number(most) + 1}`]
}

/** Podman takes an array of one word for a line of a shell's, and the word CMD within an array for a text to be split. */
const probeOf = ([first, ...rest]: readonly [string, ...Array<string>]) =>
  rest.length === 0 && !/\s/.test(first) ? `CMD ${first}` : JSON.stringify([first, ...rest])

/** The keys take numbers only, in older podmans. */
const userLines = ({ user }: ComponentSpec) => {
  const [uid, gid] = user?.split(":") ?? []
  if (user === undefined) return []
  return /^[\d:]+$/.test(user) ? [...line("User", uid), ...line("Group", gid)] : [`PodmanArgs=--user=${user}`]
}

const healthLines = ({ health }: ComponentSpec) =>
  health?.cmd === undefined
    ? []
    : [
        `HealthCmd=${literal(probeOf(health.cmd))}`,
        `HealthInterval=${formatDuration(health.interval)}`,
        `HealthTimeout=${formatDuration(health.timeout)}`,
        `HealthRetries=${health.retries}`,
        `HealthStartPeriod=${formatDuration(health.startPeriod)}`
      ]

const networkLines = (service: string, { name, network }: ComponentSpec) =>
  network === undefined
    ? [`Network=${serviceNetwork(service)}.network`, `PodmanArgs=--network-alias=${name}`]
    : [`Network=${network}`]

/** The oldest keys that do: newer podmans have more of them, older ones refuse what they do not know. */
const containerLines = (service: string, component: ComponentSpec) => [
  `ContainerName=${containerName(service, component.name)}`,
  `Image=${component.image}`,
  ...(component.entrypoint.length === 0
    ? []
    : [`PodmanArgs=${word(`--entrypoint=${JSON.stringify(component.entrypoint)}`)}`]),
  ...line("Exec", component.cmd.length === 0 ? undefined : words(component.cmd)),
  ...each(
    "Environment",
    Object.entries(component.env).map(([key, value]) => word(`${key}=${value}`))
  ),
  ...each("PublishPort", component.ports),
  ...each(
    "Volume",
    component.volumes.map((text) => literal(text))
  ),
  ...networkLines(service, component),
  ...userLines(component),
  ...line("PodmanArgs", component.memory === undefined ? undefined : `--memory=${component.memory}b`),
  ...line("PodmanArgs", component.cpus === undefined ? undefined : `--cpus=${component.cpus}`),
  `PodmanArgs=--stop-timeout=${Math.ceil(component.stopTimeout / 1000)}`,
  ...healthLines(component)
]

const containerUnit = ({ active, comment, name: service }: ServiceSpec, component: ComponentSpec): Unit => {
  const needs = component.dependsOn.map((other) => `${containerName(service, other)}.service`)
  return {
    file: `${containerName(service, component.name)}.container`,
    text: [
      ...section("Unit", [
        `Description=${(comment ?? `${service}/${component.name}`).replace(/\s+/g, " ").replaceAll("%", "%%")}`,
        ...each("After", needs),
        ...each("Requires", needs),
        ...limitLines(component)
      ]),
      ...section("Container", containerLines(service, component)),
      ...section("Service", [
        ...restartLines(component),
        // A pull may be part of the start.
        "TimeoutStartSec=900",
        `TimeoutStopSec=${Number(seconds(component.stopTimeout)) + 5}`
      ]),
      ...section("Install", active ? ["WantedBy=multi-user.target default.target"] : [])
    ].join("\n")
  }
}

/** What units cannot say of a component. */
const warningsOf = ({ health, name, routes, secrets }: ComponentSpec) => [
  ...(health !== undefined && health.cmd === undefined
    ? [`${name}: its health check runs on the node; podman's own, a command in the container, cannot say it`]
    : []),
  ...(routes.length > 0
    ? [`${name}: its routes are not in the units: nothing gives it their ports, nor the proxy`]
    : []),
  ...(secrets.length > 0 ? [`${name}: its secrets are not in the units: ${secrets.join(", ")}`] : [])
]

/** A service as units for podman's systemd generator: one a component, and one for the service's own bridge. */
export const quadlet = (
  spec: ServiceSpec
): { readonly units: ReadonlyArray<Unit>; readonly warnings: ReadonlyArray<string> } => {
  const bridge = serviceNetwork(spec.name)
  const own = spec.components.some(({ network }) => network === undefined)
  return {
    units: [
      ...spec.components.map((component) => containerUnit(spec, component)),
      ...(own ? [{ file: `${bridge}.network`, text: section("Network", [`NetworkName=${bridge}`]).join("\n") }] : [])
    ],
    warnings: spec.components.flatMap(warningsOf)
  }
}
