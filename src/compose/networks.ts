import { childOf, type Entry, isNull, listOf, type Node, type Place } from "./Node.ts"
import type { Project, Scope } from "./Scope.ts"
import { boolean, each, eachItem, expected, external, type Handler, scalar, walk } from "./walk.ts"

const isTrue = (node: Node | undefined) =>
  node !== undefined && (node.kind === "map" || (node.kind === "scalar" && node.text === "true"))

/** What podman calls it, when others than this service know it; undefined for a network of the compose file's own. */
const sharedName = (name: string, entry: Entry | undefined): string | undefined => {
  const own = childOf(entry?.value, "name")
  const outside = childOf(entry?.value, "external")
  const inner = childOf(outside, "name")
  for (const each of [own, inner]) if (each?.kind === "scalar" && !isNull(each)) return each.text
  return isTrue(outside) ? name : undefined
}

const settings = {
  aliases: "a component is known by its own name and its container's",
  ipv4_address: "addresses are given out; use names",
  ipv6_address: "addresses are given out; use names",
  link_local_ips: "addresses are given out; use names",
  mac_address: "addresses are given out; use names",
  interface_name: "interfaces are named by podman",
  driver_opts: "podman's own options are used",
  gw_priority: "a component has one network",
  priority: "a component has one network"
}

export const networks =
  (scope: Scope): Handler =>
  ({ place, value }, key) => {
    const { draft, report, top, use } = scope
    const named: Array<{ readonly name: string; readonly place: Place; readonly key: string }> = []
    if (value.kind === "map") {
      each(report, value, key, ({ key: name, place: own, value: how }, at) => {
        named.push({ name, place: own, key: at })
        walk(report, how, at, settings)
      })
    } else if (value.kind === "seq") {
      eachItem(listOf(value), (item, i) => {
        const found = scalar(report, item, `${key}[${i}]`, "a network's name")
        if (found) named.push({ name: found.text, place: item.place, key: `${key}[${i}]` })
      })
    } else if (!isNull(value)) return expected(report, value, key, "a list of networks, or a map of them")
    if (draft.network !== undefined) {
      if (named.length > 0) report.leftOut(place, key, `network_mode says already that the network is ${draft.network}`)
      return
    }
    const found = named.map((network) => {
      const entry = top("networks", network.name)
      if (entry === undefined && network.name !== "default")
        report.wrong(network.place, network.key, `there is no network ${network.name} below networks`)
      use("networks", network.name)
      return { ...network, shared: sharedName(network.name, entry) }
    })
    // Among its own it can be reached by name; on a network of others it would be alone.
    const own = found.filter(({ shared }) => shared === undefined)
    const [first, ...others] = found.filter(({ shared }) => shared !== undefined)
    if (first?.shared === undefined) return
    if (own.length > 0) {
      for (const { key: at, place: there, shared } of [first, ...others])
        report.leftOut(
          there,
          at,
          `a component has one network, and this one is on the service's own; network = "${shared}" would put it there instead`
        )
      return
    }
    draft.network = first.shared
    scope.from(first.place, "network")
    report.changed(first.place, first.key, `on ${first.shared} other components know it by its container's name alone`)
    for (const { key: at, place: there, shared } of others)
      report.leftOut(there, at, `a component has one network; it is on ${first.shared}, not on ${shared}`)
  }

export const networkMode =
  (scope: Scope): Handler =>
  ({ place, value }, key) => {
    const { draft, report } = scope
    const mode = scalar(report, value, key)?.text
    if (mode === undefined) return
    scope.from(value.place, "network")
    if (mode === "host" || mode === "none") draft.network = mode
    else if (mode === "bridge")
      report.changed(place, key, "the service's own bridge, where components know each other by name")
    else if (/^(service|container):/.test(mode))
      report.leftOut(place, key, `${mode}: components do not share a network namespace; they reach each other by name`)
    else {
      draft.network = mode
      report.changed(place, key, `on ${mode} other components know it by its container's name alone`)
    }
  }

/** The top-level networks: all of the file's own are one bridge here. */
export const topNetworks =
  (project: Project, used: ReadonlySet<string>): Handler =>
  ({ value }, key) => {
    const { report } = project
    const own: Array<string> = []
    each(report, value, key, (entry, at) => {
      const shared = sharedName(entry.key, entry)
      if (!used.has(entry.key) && entry.key !== "default")
        return report.leftOut(entry.place, at, "no service that is carried over is on it")
      if (shared === undefined) own.push(entry.key)
      if (entry.key === "default" && shared !== undefined)
        report.leftOut(
          entry.place,
          at,
          `the service has a bridge of its own; network = "${shared}" puts a component on this one`
        )
      walk(report, entry.value, at, {
        name: () => undefined,
        external: external(report),
        internal: ({ place, value: is }, where) => {
          if (boolean(report, is, where))
            report.leftOut(place, where, "the service's bridge leads outside; there is no key against it")
        },
        driver: ({ place, value: is }, where) => {
          if (scalar(report, is, where)?.text !== "bridge")
            report.leftOut(place, where, "networks are bridges of podman")
        },
        driver_opts: "podman's own options are used",
        ipam: "podman gives out subnets; make a network with podman, and name it with network",
        enable_ipv6: "networks are made with podman's defaults; make one with podman, and name it with network",
        enable_ipv4: "networks are made with podman's defaults; make one with podman, and name it with network",
        attachable: "podman has no such difference",
        labels: "MCP sets its own"
      })
      if (own.length === 2)
        report.changed(
          entry.place,
          at,
          `with ${own[0]} it is one here: all components of a service reach each other on its bridge`
        )
    })
  }
