import { dirname, join, normalize } from "node:path/posix"
import { parse as parseImage } from "./Image.ts"
import { containerName, reservedNames } from "./Names.ts"
import { type Port, parsePort, parseVolume } from "./Scalars.ts"
import type { ComponentSpec, ServiceSpec } from "./Spec.ts"

/** A rule that a spec breaks; `path` has the definition's own names. */
export interface Violation {
  readonly path: ReadonlyArray<string | number>
  /** Stable. */
  readonly code: string
  readonly message: string
  readonly severity: "error" | "warning"
}

type Rule = (spec: ServiceSpec) => ReadonlyArray<Violation>
type ComponentRule = (component: ComponentSpec, spec: ServiceSpec) => ReadonlyArray<Violation>

const violation = (path: Violation["path"], code: string, message: string): Violation => ({
  path,
  code,
  message,
  severity: "error"
})

/** The items whose key an earlier one has as well. */
const repeated = <A>(items: ReadonlyArray<A>, keyOf: (item: A) => string | undefined) => {
  const seen = new Map<string, number>()
  return items.flatMap((item, i) => {
    const key = keyOf(item)
    if (key === undefined) return []
    const first = seen.get(key)
    if (first !== undefined) return [{ item, i, key, first }]
    seen.set(key, i)
    return []
  })
}

const everywhere = (ip: string | undefined) => ip === undefined || ip === "0.0.0.0" || ip === "::"

const duplicateNames: Rule = (spec) => [
  ...repeated(spec.components, (c) => c.name).map(({ i, key }) =>
    violation(["components", i, "name"], "COMPONENT_DUPLICATE", `there is a component ${key} already`)
  ),
  ...repeated(spec.components, (c) => containerName(spec.name, c.name))
    .filter(({ first, i }) => spec.components[first]?.name !== spec.components[i]?.name)
    .map(({ i, key }) =>
      violation(["components", i, "name"], "CONTAINER_NAME_COLLISION", `its container would be ${key}, as another's`)
    )
]

/** Who has a host port, by address: found without going through all of them, of which a client may send thousands. */
interface Taken {
  readonly first: string
  everywhere: string | undefined
  readonly at: Map<string, string>
}

const hostPorts: Rule = (spec) => {
  const taken = new Map<string, Taken>()
  const take = ({ host, ip, protocol }: Port, owner: string): string | undefined => {
    const key = `${host}/${protocol}`
    const there = taken.get(key)
    const wild = everywhere(ip)
    const other = there && (wild ? there.first : (there.everywhere ?? there.at.get(ip ?? "")))
    const all = there ?? { first: owner, everywhere: undefined, at: new Map() }
    taken.set(key, all)
    if (wild) all.everywhere ??= owner
    else if (ip !== undefined && !all.at.has(ip)) all.at.set(ip, owner)
    return other
  }
  return spec.components.flatMap((component, c) =>
    component.ports.flatMap((text, i) => {
      const port = parsePort(text)
      const other = port && take(port, component.name)
      return port && other !== undefined
        ? [
            violation(
              ["components", c, "ports", i],
              "PORT_DUPLICATE",
              `host port ${port.host} is taken by component ${other}`
            )
          ]
        : []
    })
  )
}

const routes: Rule = (spec) => {
  const all = spec.components.flatMap((component, c) =>
    component.routes.map((route, r) => ({ route, path: ["components", c, "routes", r] as const }))
  )
  return [
    ...repeated(all, ({ route }) => route.name).map(({ item, key }) =>
      violation([...item.path, "name"], "ROUTE_DUPLICATE", `there is a route ${key} already`)
    ),
    ...repeated(all, ({ route }) => `${route.port} of ${route.hostname ?? spec.name}`).map(({ item, key }) =>
      violation([...item.path, "port"], "ROUTE_DUPLICATE", `there is a route on port ${key} already`)
    )
  ]
}

/**
 * The components on a cycle of depends_on that starts at one of them, in order; undefined when there is none. Each is
 * gone into once: a client could otherwise keep the agent busy with a graph of a few dozen components.
 */
const cycleFrom = (start: string, dependencies: ReadonlyMap<string, ReadonlyArray<string>>) => {
  const reachedFrom = new Map<string, string>()
  const queue = [start]
  // The loop goes on over what it appends: nearest first, so that the cycle told is a shortest one.
  for (const name of queue) {
    for (const next of dependencies.get(name) ?? []) {
      if (next === start) {
        const cycle = [start]
        for (let at: string | undefined = name; at !== undefined; at = reachedFrom.get(at)) cycle.unshift(at)
        return cycle
      }
      if (reachedFrom.has(next)) continue
      reachedFrom.set(next, name)
      queue.push(next)
    }
  }
  return undefined
}

const dependencies: Rule = (spec) => {
  const graph = new Map(spec.components.map((component) => [component.name as string, component.dependsOn]))
  const told = new Set<string>()
  return spec.components.flatMap((component, c) => {
    const path = (i: number) => ["components", c, "depends_on", i] as const
    const unknown = component.dependsOn.flatMap((name, i) =>
      graph.has(name)
        ? []
        : [
            violation(
              path(i),
              "DEPENDENCY_UNKNOWN",
              `there is no component ${name}; there are ${[...graph.keys()].join(", ")}`
            )
          ]
    )
    const cycle = told.has(component.name) ? undefined : cycleFrom(component.name, graph)
    for (const name of cycle ?? []) told.add(name)
    return cycle
      ? [...unknown, violation(["components", c, "depends_on"], "DEPENDENCY_CYCLE", `a cycle: ${cycle.join(" → ")}`)]
      : unknown
  })
}

const volumeTargets: ComponentRule = (component) =>
  repeated(component.volumes, (text) => parseVolume(text)?.target).map(({ i, key }) =>
    violation(["volumes", i], "VOLUME_DUPLICATE", `another volume is mounted at ${key}`)
  )

const portVariable = (name: string) => name.toUpperCase().replaceAll("-", "_")

const routeNames: ComponentRule = ({ network, routes }) => [
  ...(routes.length > 1 ? routes : []).flatMap((route, i) =>
    route.name === undefined
      ? [violation(["routes", i], "ROUTE_NAME_MISSING", "one of several routes needs a name")]
      : []
  ),
  ...repeated(routes, ({ name }) => name && portVariable(name))
    .filter(({ first, item }) => routes[first]?.name !== item.name)
    .map(({ i, key }) =>
      violation(["routes", i, "name"], "ROUTE_DUPLICATE", `$PORT_${key} would be another route's too`)
    ),
  ...(network === "none" && routes.length > 0
    ? [violation(["routes"], "ROUTE_WITHOUT_NETWORK", 'a route needs a network; this component has "none"')]
    : [])
]

const network: ComponentRule = ({ network, ports }) =>
  (network === "host" || network === "none") && ports.length > 0
    ? [violation(["ports"], "PORTS_WITHOUT_BRIDGE", `ports cannot be mapped on network "${network}"`)]
    : []

const health: ComponentRule = ({ health, network, ports, routes }) => {
  if (!health) return []
  const probes = [health.http, health.tcp, health.cmd].filter((probe) => probe !== undefined)
  const path = ["health"]
  if (probes.length !== 1) return [violation(path, "HEALTH_PROBE", "needs exactly one of http, tcp and cmd")]
  const { port } = health
  if (health.cmd !== undefined) {
    return port === undefined ? [] : [violation([...path, "port"], "HEALTH_PORT", "a cmd check has no port")]
  }
  const mapped = ports.flatMap((text) => parsePort(text) ?? []).filter(({ protocol }) => protocol === "tcp")
  if (port === undefined) {
    return mapped.length + routes.length === 1
      ? []
      : [violation(path, "HEALTH_PORT", "needs port: a container port of ports, or a route's name")]
  }
  const known =
    typeof port === "number"
      ? network === "host" || mapped.some((each) => each.container === port) || routes.some((r) => r.target === port)
      : routes.some((route) => route.name === port)
  return known
    ? []
    : [
        violation(
          [...path, "port"],
          "HEALTH_PORT",
          `${port} is neither a container port of ports nor a route's name or target`
        )
      ]
}

const updateOrder: ComponentRule = ({ network, ports, updateOrder }) => {
  if (updateOrder !== "start-first") return []
  if (ports.length > 0) {
    return [
      violation(
        ["update_order"],
        "UPDATE_ORDER",
        "start-first cannot be with a fixed host port: two would need it at once"
      )
    ]
  }
  const message = `while both run, both answer to their name on ${network}`
  return network === undefined || network === "none" || network === "host"
    ? []
    : [{ ...violation(["update_order"], "UPDATE_ORDER", message), severity: "warning" }]
}

const floatingTag: ComponentRule = ({ image }) => {
  const parsed = parseImage(image)
  if (!parsed || parsed.digest !== undefined || (parsed.tag !== undefined && parsed.tag !== "latest")) return []
  const message = `${image} may be another image tomorrow; name a version or a digest`
  return [{ ...violation(["image"], "IMAGE_FLOATING", message), severity: "warning" }]
}

const snapshot: Rule = ({ components, snapshot }) => {
  if (!snapshot) return []
  const known = components.map((component) => component.name as string)
  return [
    ...(snapshot.component !== undefined && !known.includes(snapshot.component)
      ? [violation(["snapshot", "component"], "SNAPSHOT_COMPONENT", `there is no component ${snapshot.component}`)]
      : []),
    ...(snapshot.method === "exec" && snapshot.cmd.length === 0
      ? [violation(["snapshot"], "SNAPSHOT_CMD", "method exec needs cmd")]
      : []),
    ...(snapshot.method === "exec" && snapshot.component === undefined
      ? [violation(["snapshot"], "SNAPSHOT_COMPONENT", "method exec needs component, the one to run cmd in")]
      : [])
  ]
}

const reserved: Rule = ({ name }) =>
  reservedNames.includes(name) ? [violation(["name"], "NAME_RESERVED", `${name} is a name of MCP's own`)] : []

const serviceRules: ReadonlyArray<Rule> = [reserved, duplicateNames, hostPorts, routes, dependencies, snapshot]
const componentRules: ReadonlyArray<ComponentRule> = [
  volumeTargets,
  routeNames,
  network,
  health,
  updateOrder,
  floatingTag
]

/** Every rule that ties fields of one definition together. */
export const checkService = (spec: ServiceSpec): ReadonlyArray<Violation> => [
  ...serviceRules.flatMap((rule) => rule(spec)),
  ...spec.components.flatMap((component, c) =>
    componentRules.flatMap((rule) =>
      rule(component, spec).map((found) => ({ ...found, path: ["components", c, ...found.path] }))
    )
  )
]

/** Container names that components of this service would share with another's: `a-b` + `c` and `a` + `b-c`. */
export const checkContainerNames = (
  spec: ServiceSpec,
  others: ReadonlyArray<{ readonly service: string; readonly components: ReadonlyArray<string> }>
): ReadonlyArray<Violation> => {
  const taken = new Map(
    others
      .filter(({ service }) => service !== spec.name)
      .flatMap(({ service, components }) =>
        components.map((c) => [containerName(service, c), `${service}/${c}`] as const)
      )
  )
  return spec.components.flatMap((component, i) => {
    const name = containerName(spec.name, component.name)
    const owner = taken.get(name)
    return owner
      ? [
          violation(
            ["components", i, "name"],
            "CONTAINER_NAME_COLLISION",
            `its container would be ${name}, which ${owner} has`
          )
        ]
      : []
  })
}

const within = (path: string, folder: string) => path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`)

/**
 * Whether the service's folder would be, hold, or lie in the folder of one of the agent's own files. An own file right
 * in `filesRoot` reserves its own name only: the services beside it do not reach it.
 */
export const reservedBy = (filesRoot: string, service: string, ownPaths: ReadonlyArray<string>): boolean => {
  if (reservedNames.includes(service)) return true
  const [root, folder] = [normalize(filesRoot).replace(/(.)\/$/, "$1"), join(filesRoot, service)]
  return ownPaths.map(normalize).some((path) => {
    const own = dirname(path)
    return within(path, folder) || (within(folder, own) && !within(root, own))
  })
}

/** Volumes through which a container would reach the agent's own files. */
export const checkVolumes = (spec: ServiceSpec, ownPaths: ReadonlyArray<string>): ReadonlyArray<Violation> => {
  const own = ownPaths.map(normalize)
  return spec.components.flatMap((component, c) =>
    component.volumes.flatMap((text, i) => {
      const source = parseVolume(text)?.source ?? ""
      return source.startsWith("/") && own.some((path) => within(path, source) || within(source, dirname(path)))
        ? [violation(["components", c, "volumes", i], "NAME_RESERVED", `${source} would reach the agent's own files`)]
        : []
    })
  )
}
