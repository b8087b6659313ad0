import { checkComponent } from "./ComponentRules.ts"
import { containerName, reservedNames } from "./Names.ts"
import { type Port, parsePort } from "./Scalars.ts"
import type { ServiceSpec } from "./Spec.ts"
import { repeated, type Violation, violation } from "./Violation.ts"

type Rule = (spec: ServiceSpec) => ReadonlyArray<Violation>

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

const everywhere = (ip: string | undefined) => ip === undefined || ip === "0.0.0.0" || ip === "::"

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

const rules: ReadonlyArray<Rule> = [reserved, duplicateNames, hostPorts, routes, dependencies, snapshot]

/** As many as one service may have; some rules look at each pair, and a client may send anything. */
const mostComponents = 256

/** Every rule that ties fields of one definition together. */
export const checkService: Rule = (spec) =>
  spec.components.length > mostComponents
    ? [violation(["components"], "COMPONENTS_TOO_MANY", `a service has at most ${mostComponents} components`)]
    : [
        ...rules.flatMap((rule) => rule(spec)),
        ...spec.components.flatMap((component, c) =>
          checkComponent(component).map((found) => ({ ...found, path: ["components", c, ...found.path] }))
        )
      ]
