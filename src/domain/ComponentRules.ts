import { isFloating } from "./Image.ts"
import { portVariable } from "./Ports.ts"
import { parsePort, parseVolume } from "./Scalars.ts"
import type { ComponentSpec } from "./Spec.ts"
import { repeated, type Violation, violation } from "./Violation.ts"

type Rule = (component: ComponentSpec) => ReadonlyArray<Violation>

const volumeTargets: Rule = (component) =>
  repeated(component.volumes, (text) => parseVolume(text)?.target).map(({ i, key }) =>
    violation(["volumes", i], "VOLUME_DUPLICATE", `another volume is mounted at ${key}`)
  )

const routeNames: Rule = ({ network, routes }) => [
  ...(routes.length > 1 ? routes : []).flatMap((route, i) =>
    route.name === undefined
      ? [violation(["routes", i], "ROUTE_NAME_MISSING", "one of several routes needs a name")]
      : []
  ),
  ...repeated(routes, ({ name }) => name && portVariable(name))
    .filter(({ first, item }) => routes[first]?.name !== item.name)
    .map(({ i, key }) => violation(["routes", i, "name"], "ROUTE_DUPLICATE", `$${key} would be another route's too`)),
  ...(network === "none" && routes.length > 0
    ? [violation(["routes"], "ROUTE_WITHOUT_NETWORK", 'a route needs a network; this component has "none"')]
    : [])
]

/** The agent says where to listen; a text of the definition's own would be overwritten. */
const routeVariables: Rule = ({ env, routes }) =>
  routes.flatMap((route) => {
    const variable = route.name === undefined ? "PORT" : portVariable(route.name)
    const own = env[variable]
    return own === undefined || own === String(route.target)
      ? []
      : [
          violation(
            ["env", variable],
            "ROUTE_ENV",
            `${variable} is the agent's to set; a route's target says where the program listens`
          )
        ]
  })

const network: Rule = ({ network, ports }) =>
  (network === "host" || network === "none") && ports.length > 0
    ? [violation(["ports"], "PORTS_WITHOUT_BRIDGE", `ports cannot be mapped on network "${network}"`)]
    : []

const health: Rule = ({ health, network, ports, routes }) => {
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

const updateOrder: Rule = ({ network, ports, routes, updateOrder }) => {
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
  if (network === "host" && routes.some(({ target }) => target !== undefined)) {
    return [
      violation(
        ["update_order"],
        "UPDATE_ORDER",
        "start-first cannot be with a target on the host's network: two would listen there at once"
      )
    ]
  }
  const message = `while both run, both answer to their name on ${network}`
  return network === undefined || network === "none" || network === "host"
    ? []
    : [{ ...violation(["update_order"], "UPDATE_ORDER", message), severity: "warning" }]
}

const floatingTag: Rule = ({ image }) => {
  if (!isFloating(image)) return []
  const message = `${image} may be another image tomorrow; name a version or a digest`
  return [{ ...violation(["image"], "IMAGE_FLOATING", message), severity: "warning" }]
}

const rules: ReadonlyArray<Rule> = [
  volumeTargets,
  routeNames,
  routeVariables,
  network,
  health,
  updateOrder,
  floatingTag
]

/** Every rule that ties fields of one component together; paths begin at the component. */
export const checkComponent: Rule = (component) => rules.flatMap((rule) => rule(component))
