import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { checkRoutes, checkVolumes, reservedBy } from "../../src/domain/NodeRules.ts"
import { checkService } from "../../src/domain/ServiceRules.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"

type Fields = Record<string, unknown>
const component = (name: string, fields: Fields = {}) => ({ name, image: `${name}:1`, ...fields })
const shop = (components: ReadonlyArray<Fields>, fields: Fields = {}) =>
  Schema.decodeUnknownSync(ServiceSpec)({ name: "shop", components, ...fields })
const broken = (components: ReadonlyArray<Fields>, fields: Fields = {}) =>
  checkService(shop(components, fields)).map(
    ({ code, path, severity }) => `${severity === "warning" ? "warning " : ""}${code} ${path.join(".")}`
  )
const web = (fields: Fields) => [component("web", fields)]

describe("rules over several fields of one definition", () => {
  it.each<[string, ReadonlyArray<Fields>, ReadonlyArray<string>]>([
    ["two components of one name", [component("web"), component("web")], ["COMPONENT_DUPLICATE components.1.name"]],
    [
      "a host port of two components",
      [component("web", { ports: ["80:1"] }), component("api", { ports: ["127.0.0.1:80:2"] })],
      ["PORT_DUPLICATE components.1.ports.0"]
    ],
    ["tcp and udp of one number", web({ ports: ["53:53", "53:53/udp"] }), []],
    ["one number on two addresses", web({ ports: ["10.0.0.1:80:80", "10.0.0.2:80:80"] }), []],
    [
      "one address spelled in two ways",
      web({ ports: ["[::1]:80:80", "[0:0:0:0:0:0:0:1]:80:80"] }),
      ["PORT_DUPLICATE components.0.ports.1"]
    ],
    [
      "every address, spelled out",
      web({ ports: ["[0::0]:80:80", "127.0.0.1:80:80"] }),
      ["PORT_DUPLICATE components.0.ports.1"]
    ],
    ["a volume's target twice", web({ volumes: ["/a:/x", "b:/x:ro"] }), ["VOLUME_DUPLICATE components.0.volumes.1"]],
    [
      "a route's name twice in the service",
      [component("web", { routes: [{ name: "r", port: 1 }] }), component("api", { routes: [{ name: "r", port: 2 }] })],
      ["ROUTE_DUPLICATE components.1.routes.0.name"]
    ],
    [
      "a port and host name twice",
      [component("web", { routes: [{ port: 443 }] }), component("api", { routes: [{ port: 443 }] })],
      ["ROUTE_DUPLICATE components.1.routes.0.port"]
    ],
    [
      "one port for two host names",
      [
        component("web", { routes: [{ port: 443, hostname: "a.example" }] }),
        component("api", { routes: [{ port: 443, hostname: "b.example" }] })
      ],
      []
    ],
    [
      "several routes without names",
      web({ routes: [{ port: 1 }, { port: 2, name: "b" }] }),
      ["ROUTE_NAME_MISSING components.0.routes.0"]
    ],
    ["an unknown dependency", web({ depends_on: ["db"] }), ["DEPENDENCY_UNKNOWN components.0.depends_on.0"]],
    ["a component that needs itself", web({ depends_on: ["web"] }), ["DEPENDENCY_CYCLE components.0.depends_on"]],
    [
      "ports on the host's network",
      web({ network: "host", ports: ["1:1"] }),
      ["PORTS_WITHOUT_BRIDGE components.0.ports"]
    ],
    ["ports without a network", web({ network: "none", ports: ["1:1"] }), ["PORTS_WITHOUT_BRIDGE components.0.ports"]],
    [
      "a route without a network",
      web({ network: "none", routes: [{ port: 1 }] }),
      ["ROUTE_WITHOUT_NETWORK components.0.routes"]
    ],
    [
      "a variable that the agent sets",
      web({ routes: [{ port: 443 }], env: { PORT: "8080" } }),
      ["ROUTE_ENV components.0.env.PORT"]
    ],
    [
      "the variable of a route with a name",
      web({ routes: [{ port: 443, name: "web-ui" }], env: { PORT_WEB_UI: "8080", PORT: "1" } }),
      ["ROUTE_ENV components.0.env.PORT_WEB_UI"]
    ],
    ["the same as the route's target", web({ routes: [{ port: 443, target: 80 }], env: { PORT: "80" } }), []],
    [
      "two at once on one port of the host",
      web({ network: "host", routes: [{ port: 443, target: 80 }], update_order: "start-first" }),
      ["UPDATE_ORDER components.0.update_order"]
    ],
    [
      "more components than a service has",
      Array.from({ length: 257 }, (_, i) => component(`c${i}`)),
      ["COMPONENTS_TOO_MANY components"]
    ],
    ["no probe at all", web({ health: {} }), ["HEALTH_PROBE components.0.health"]],
    ["two probes", web({ health: { tcp: true, cmd: ["x"] } }), ["HEALTH_PROBE components.0.health"]],
    ["a cmd with a port", web({ health: { cmd: ["x"], port: 1 } }), ["HEALTH_PORT components.0.health.port"]],
    ["the only tcp mapping", web({ ports: ["1:80", "1:80/udp"], health: { tcp: true } }), []],
    ["the only route", web({ routes: [{ port: 443 }], health: { http: "/" } }), []],
    ["nothing to probe", web({ health: { tcp: true } }), ["HEALTH_PORT components.0.health"]],
    [
      "a udp mapping",
      web({ ports: ["1:80/udp"], health: { tcp: true, port: 80 } }),
      ["HEALTH_PORT components.0.health.port"]
    ],
    ["a route's target", web({ routes: [{ port: 443, target: 8080 }], health: { tcp: true, port: 8080 } }), []],
    ["a route's name", web({ routes: [{ name: "rest", port: 443 }], health: { tcp: true, port: "rest" } }), []],
    [
      "a route's listener",
      web({ routes: [{ port: 443 }], health: { tcp: true, port: 443 } }),
      ["HEALTH_PORT components.0.health.port"]
    ],
    [
      "start-first with a fixed port",
      web({ ports: ["1:1"], update_order: "start-first" }),
      ["UPDATE_ORDER components.0.update_order"]
    ],
    [
      "start-first on a named network",
      web({ network: "mcpnet", update_order: "start-first" }),
      ["warning UPDATE_ORDER components.0.update_order"]
    ],
    ["start-first on the service's own network", web({ update_order: "start-first" }), []],
    ["no tag", web({ image: "x" }), ["warning IMAGE_FLOATING components.0.image"]],
    ["the tag latest", web({ image: "x:latest" }), ["warning IMAGE_FLOATING components.0.image"]],
    ["the tag latest and a digest", web({ image: `x:latest@sha256:${"ab".repeat(32)}` }), []]
  ])("%s", (_, components, expected) => {
    assert.deepStrictEqual(broken(components), expected)
  })

  it.each<[string, Fields, ReadonlyArray<string>]>([
    ["exec with both", { method: "exec", cmd: ["dump"], component: "web" }, []],
    ["exec without cmd", { method: "exec", component: "web" }, ["SNAPSHOT_CMD snapshot"]],
    ["exec without component", { method: "exec", cmd: ["dump"] }, ["SNAPSHOT_COMPONENT snapshot"]],
    ["of a component that is not there", { component: "db" }, ["SNAPSHOT_COMPONENT snapshot.component"]],
    ["full", { method: "full" }, []]
  ])("snapshot: %s", (_, snapshot, expected) => {
    assert.deepStrictEqual(broken(web({}), { snapshot }), expected)
  })

  it("a name of two routes in one component is told once", () => {
    const routes = [
      { name: "a-b", port: 1 },
      { name: "a-b", port: 2 }
    ]
    assert.deepStrictEqual(broken(web({ routes })), ["ROUTE_DUPLICATE components.0.routes.1.name"])
  })

  it("a cycle is told once, by its names", () => {
    const messages = checkService(
      shop([
        component("a", { depends_on: ["b"] }),
        component("b", { depends_on: ["c", "d"] }),
        component("c", { depends_on: ["a"] }),
        component("d")
      ])
    ).map(({ message }) => message)
    assert.deepStrictEqual(messages, ["a cycle: a → b → c → a"])
  })

  it("a dense graph without a cycle is checked at once", () => {
    const all = Array.from({ length: 60 }, (_, i) => `c${i}`)
    const components = all.map((name, i) => component(name, { depends_on: all.slice(0, i) }))
    assert.deepStrictEqual(broken(components), [])
  })
})

describe("the agent's own files", () => {
  it("reserve no more than their own name when they are right in the files' root", () => {
    const own = ["/srv/mcp-agent.toml"]
    assert.isFalse(reservedBy("/srv", "shop", own))
    assert.isFalse(reservedBy("/srv/", "shop", own))
    assert.isTrue(reservedBy("/srv", "db", ["/srv/db"]))
  })

  it("are kept from a service whatever the spelling of their path", () => {
    const own = ["/srv/shop/../control/mcp.db"]
    assert.isTrue(reservedBy("/srv", "control", own))
    assert.isFalse(reservedBy("/srv", "shop", own))
    assert.lengthOf(checkVolumes(shop(web({ volumes: ["/srv/control:/x"] })), own), 1)
  })
})

describe("routes of several services", () => {
  const routed = (name: string, route: Fields) =>
    Schema.decodeUnknownSync(ServiceSpec)({ name, components: [component("web", { routes: [route] })] })
  const taken = (one: ServiceSpec, other: ServiceSpec, zone?: string) =>
    checkRoutes(one, [other], zone).map(({ message }) => message)

  it("one hostname and port leads to one service", () => {
    const shop = routed("shop", { port: 443, hostname: "a.example" })
    assert.deepStrictEqual(taken(shop, routed("blog", { port: 443, hostname: "a.example" })), [
      "a.example:443 is a route of blog/web already"
    ])
    assert.deepStrictEqual(taken(shop, routed("blog", { port: 80, hostname: "a.example" })), [])
    assert.deepStrictEqual(taken(shop, shop), [])
  })

  it("a name that the node's zone gives counts as well", () => {
    const shop = routed("shop", { port: 443 })
    const blog = routed("blog", { port: 443, hostname: "shop.here.example" })
    assert.deepStrictEqual(taken(blog, shop, "here.example"), ["shop.here.example:443 is a route of shop/web already"])
    assert.deepStrictEqual(taken(blog, shop), [])
  })
})
