import { formatPort, parsePort } from "../domain/Scalars.ts"
import { type Node, type Place, seqOf } from "./Node.ts"
import type { Scope } from "./Scope.ts"
import { eachItem, type Handler, scalar, walk } from "./walk.ts"

interface Published {
  readonly ip: string | undefined
  readonly host: string | undefined
  readonly container: string
  readonly protocol: string
}

const form = "[[ip:]host:]container[/udp]"

/** `127.0.0.1:8000-8001:80-81/udp` in its parts. */
const parseShort = (text: string): Published | undefined => {
  const match = /^(?:(?:(\[[0-9a-fA-F:]+\]|[0-9.]+):)?([0-9-]*):)?([0-9]+(?:-[0-9]+)?)(?:\/([a-z]+))?$/.exec(text)
  if (match === null) return undefined
  const [, ip, host, container = "", protocol = "tcp"] = match
  return { ip: ip?.replace(/^\[|\]$/g, ""), host: host === "" ? undefined : host, container, protocol }
}

const range = (text: string): ReadonlyArray<number> | undefined => {
  const [first = Number.NaN, last = first] = text.split("-").map(Number)
  const good = Number.isInteger(first) && Number.isInteger(last) && first >= 1 && last <= 65535 && first <= last
  return good && last - first < 1000 ? Array.from({ length: last - first + 1 }, (_, i) => first + i) : undefined
}

const longForm = (scope: Scope, node: Node, key: string): Published | undefined => {
  const { report } = scope
  const parts: Record<string, string | undefined> = {}
  const part: Handler = ({ key: name, value }, at) => {
    parts[name] = scalar(report, value, at)?.text
  }
  walk(report, node, key, {
    ...{ target: part, published: part, host_ip: part, protocol: part },
    mode: ({ place, value }, at) => {
      if (scalar(report, value, at)?.text === "ingress")
        report.leftOut(place, at, "there is no ingress network: the port is that of the node")
    },
    name: "ports have no names here",
    app_protocol: "a port is TCP or UDP; a route's mode says what the proxy does"
  })
  if (parts.target === undefined) {
    report.wrong(node.place, key, "needs target, the port within the container")
    return undefined
  }
  const { host_ip: ip, published: host, protocol = "tcp", target } = parts
  return { ip, host: host === "" ? undefined : host, container: target, protocol }
}

/** A port that no host port is said for gets a route: that is what has an allocated port in MCP. */
const route = (scope: Scope, port: number, protocol: string, place: Place, key: string) => {
  const { draft, report, routePorts } = scope
  const instead = `say which: ports = ["127.0.0.1:HOST:${port}${protocol === "udp" ? "/udp" : ""}"]`
  if (protocol !== "tcp")
    return report.leftOut(place, key, `compose would choose a host port, and so it is no fixed one; ${instead}`)
  if (routePorts.has(port))
    return report.leftOut(
      place,
      key,
      `another component has a route on port ${port}; give it a host port, and ${instead}`
    )
  if (draft.network === "none") return report.leftOut(place, key, "a component without a network has no ports")
  routePorts.add(port)
  const name = `${draft.name.slice(0, 55)}-${port}`
  scope.from(place, "routes", draft.routes.length)
  draft.routes.push({ name: /[a-z]/.test(name) ? name : `p${name}`, port, target: port })
  report.changed(
    place,
    key,
    `no host port is fixed: route ${name}, with one that the agent chooses on 127.0.0.1 (mcp ps shows it); for a fixed one, ${instead} instead`
  )
}

const publish = (scope: Scope, published: Published, node: Node, key: string) => {
  const { draft, report } = scope
  const { ip, protocol } = published
  const containers = range(published.container)
  if (containers === undefined) return report.wrong(node.place, key, "ports are 1 to 65535, and a range goes up")
  if (protocol !== "tcp" && protocol !== "udp")
    return report.leftOut(node.place, key, `${protocol} is neither tcp nor udp`)
  if (published.host === undefined || published.host === "0") {
    for (const port of containers) route(scope, port, protocol, node.place, key)
    return
  }
  const hosts = range(published.host)
  if (hosts === undefined) return report.wrong(node.place, key, "ports are 1 to 65535, and a range goes up")
  if (containers.length === 1 && hosts.length > 1)
    report.changed(node.place, key, `of the range ${published.host} the first, since the definition's ports are fixed`)
  else if (hosts.length !== containers.length)
    return report.wrong(node.place, key, "both ranges must be as long as each other")
  eachItem(containers, (container, i) => {
    const port = formatPort({ ip, host: hosts[i] ?? container, container, protocol })
    const known = parsePort(port)
    if (known === undefined) return report.wrong(node.place, key, `expected ${form}`)
    const text = formatPort(known)
    if (draft.ports.includes(text)) return
    scope.from(node.place, "ports", draft.ports.length)
    draft.ports.push(text)
  })
}

export const ports =
  (scope: Scope): Handler =>
  ({ place, value }, key) => {
    const { draft, report } = scope
    if (draft.network === "host" && value.kind === "seq" && value.items.length > 0)
      return report.leftOut(place, key, "on the host's network what the program listens on is the node's already")
    if (draft.network === "none" && value.kind === "seq" && value.items.length > 0)
      return report.leftOut(place, key, "a component without a network has no ports")
    const list =
      value.kind === "seq" ? value : seqOf(value.kind === "scalar" && value.type === "null" ? [] : [value], value)
    eachItem(list.items, (item, i) => {
      const at = `${key}[${i}]`
      if (item.kind === "map") {
        const long = longForm(scope, item, at)
        if (long) publish(scope, long, item, at)
        return
      }
      const text = scalar(report, item, at, form)
      if (text === undefined) return
      const short = parseShort(text.text)
      if (short === undefined) return report.wrong(item.place, at, `expected ${form}`)
      publish(scope, short, item, at)
    })
  }

/** On one bridge every port of a component can be reached by the others. */
export const expose =
  ({ draft, report }: Scope): Handler =>
  ({ place }, key) => {
    if (draft.network === "none") report.leftOut(place, key, "a component without a network has no ports")
    else report.changed(place, key, "nothing need be said: components reach each other's ports on the service's bridge")
  }
