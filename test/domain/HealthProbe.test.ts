import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { healthProbe } from "../../src/domain/HealthProbe.ts"
import { ComponentSpec } from "../../src/domain/Spec.ts"

const probe = (fields: Record<string, unknown>) =>
  healthProbe(Schema.decodeUnknownSync(ComponentSpec)({ name: "web", image: "web:1", ...fields }), new Map())
const tcp = (host: string, port: number) => ({ _tag: "Tcp" as const, host, port })

describe("a health check is made from the node, through the component's host port", () => {
  it.each<[string, Record<string, unknown>, ReturnType<typeof healthProbe>]>([
    ["none without a health check", {}, undefined],
    ["its only port is meant", { ports: ["8080:80"], health: { tcp: true } }, tcp("127.0.0.1", 8080)],
    ["a port on all addresses", { ports: ["0.0.0.0:8080:80"], health: { tcp: true } }, tcp("127.0.0.1", 8080)],
    ["a port on one address", { ports: ["10.0.0.1:8080:80"], health: { tcp: true } }, tcp("10.0.0.1", 8080)],
    [
      "the one of several that it names",
      { ports: ["8080:80", "8081:81"], health: { http: "/ok", port: 81 } },
      { _tag: "Http", host: "127.0.0.1", port: 8081, path: "/ok" }
    ],
    ["several and none named", { ports: ["8080:80", "8081:81"], health: { tcp: true } }, undefined],
    ["UDP answers no probe", { ports: ["53:53/udp", "8080:80"], health: { tcp: true } }, tcp("127.0.0.1", 8080)],
    [
      "on the host's network the port is its own",
      { network: "host", health: { tcp: true, port: 9 } },
      tcp("127.0.0.1", 9)
    ],
    [
      "there also by the route's name",
      { network: "host", routes: [{ name: "rest", port: 443, target: 9 }], health: { tcp: true, port: "rest" } },
      tcp("127.0.0.1", 9)
    ],
    [
      "there also by the only route",
      { network: "host", routes: [{ port: 443, target: 9 }], health: { tcp: true } },
      tcp("127.0.0.1", 9)
    ],
    ["a command needs no port", { health: { cmd: ["check"] } }, { _tag: "Cmd", argv: ["check"] }]
  ])("%s", (_, fields, expected) => assert.deepStrictEqual(probe(fields), expected))
})
