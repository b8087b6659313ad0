import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Either, FastCheck as fc, Schema, SchemaAST } from "effect"
import { parse as parseToml, stringify } from "smol-toml"
import { parseDefinition } from "../../src/domain/Definition.ts"
import { ComponentSpec, Health, Route, ServiceSpec, Snapshot } from "../../src/domain/Spec.ts"
import { canonicalService, parseCanonicalService, specHash } from "../../src/domain/SpecHash.ts"
import { ServiceSpecSchema } from "../../src/gen/mcp/v1/mcp_pb.ts"
import { fromProto, toProto } from "../../src/grpc/spec.ts"

const encode = Schema.encodeSync(ServiceSpec)
const decode = Schema.decodeUnknownSync(ServiceSpec, { onExcessProperty: "error" })

/** On the wire a health check is exactly one of http, tcp and cmd, which ComponentRules demands of every spec. */
const oneProbe = (component: ComponentSpec): ComponentSpec => {
  if (!component.health) return component
  const { cmd, http, tcp, ...rest } = component.health
  const probe = http !== undefined ? { http } : cmd !== undefined ? { cmd } : { tcp: tcp ?? (true as const) }
  return { ...component, health: { ...rest, ...probe } }
}
const specs = Arbitrary.make(ServiceSpec).map((spec): ServiceSpec => {
  const [first, ...rest] = spec.components
  return { ...spec, components: [oneProbe(first), ...rest.map(oneProbe)] }
})

const overTheWire = (spec: ServiceSpec) =>
  Either.getOrThrow(fromProto(fromBinary(ServiceSpecSchema, toBinary(ServiceSpecSchema, toProto(spec)))))

/** A spec in which every field of the Schema is set, so that one that is dropped on the way shows. */
const full = decode({
  name: "shop",
  node: "rift",
  tier: "core",
  active: false,
  comment: "what it is for",
  path: "shop",
  build: { images: { "shop-web": "Dockerfile.web" } },
  components: [
    {
      name: "web",
      image: "mcr.example:8443/web:v1",
      network: "mcpnet",
      user: "1000:1000",
      restart: "on-failure:3",
      ports: ["127.0.0.1:18443:8443", "53:53/udp"],
      volumes: ["/srv/shop:/data:ro"],
      cmd: ["serve"],
      entrypoint: ["/bin/web"],
      env: { LOG_LEVEL: "info", EMPTY: "", EQ: "a=b" },
      secrets: ["db"],
      memory: "512m",
      cpus: 1.5,
      depends_on: ["db"],
      stop_timeout: "11s",
      drain_timeout: "31s",
      settle: "2s",
      update_order: "stop-first",
      health: { http: "/healthz", port: 8443, interval: "6s", timeout: "3s", retries: 4, start_period: "12s" },
      routes: [{ name: "rest", port: 8443, target: 8080, mode: "l7", hostname: "shop.example.net", public: true }]
    },
    {
      name: "db",
      image: "db:1",
      health: { cmd: ["check", "it"] }
    }
  ],
  snapshot: { method: "exec", cmd: ["dump"], component: "db", excludes: ["*.tmp"] }
})

/** Every field of a struct's schema, by name; a field that is added later is in it by itself. */
const fieldsOf = (ast: SchemaAST.AST): ReadonlyArray<string> => {
  const type = SchemaAST.typeAST(ast)
  return SchemaAST.isTypeLiteral(type) ? type.propertySignatures.map((signature) => String(signature.name)) : []
}

describe("a spec comes through whole", () => {
  it("the example sets every field that there is", () => {
    assert.sameMembers(Object.keys(full), [...fieldsOf(ServiceSpec.ast)])
    assert.sameMembers(Object.keys(full.components[0]), [...fieldsOf(ComponentSpec.ast)])
    const [{ health, routes }] = full.components
    // The two other probes are set in no health check besides http; the second component has a cmd.
    assert.sameMembers([...Object.keys(health ?? {}), "tcp", "cmd"], [...fieldsOf(Health.ast)])
    assert.sameMembers(Object.keys(routes[0] ?? {}), [...fieldsOf(Route.ast)])
    assert.sameMembers(Object.keys(full.snapshot ?? {}), [...fieldsOf(Snapshot.ast)])
    assert.deepStrictEqual(overTheWire(full), full)
    assert.deepStrictEqual(decode(parseToml(stringify(encode(full)))), full)
  })

  it("over TOML and back", () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const text = stringify(encode(spec))
        assert.deepStrictEqual(decode(parseToml(text)), spec)
      })
    )
  })

  it("over the wire and back", () => {
    fc.assert(fc.property(specs, (spec) => assert.deepStrictEqual(overTheWire(spec), spec)))
  })

  it("what a message leaves out has the definition's default, and zero is not left out", () => {
    const health = { tcp: true, port: 1 }
    const image = "docker.io/library/x:1"
    const left = create(ServiceSpecSchema, {
      name: "a",
      components: [{ name: "a", image, health: { probe: { case: "tcp", value: true }, port: "1" } }]
    })
    const read = Either.getOrThrow(fromProto(fromBinary(ServiceSpecSchema, toBinary(ServiceSpecSchema, left))))
    assert.deepStrictEqual(read, decode({ name: "a", components: [{ name: "a", image, health }] }))

    const [component] = left.components
    assert.isDefined(component?.health)
    left.active = false
    component.settleMs = 0n
    const still = Either.getOrThrow(fromProto(left))
    assert.deepStrictEqual([still.active, still.components[0].settle], [false, 0])
    component.health.retries = 0
    const refused = Either.getOrThrow(Either.flip(fromProto(left)))
    assert.deepStrictEqual(
      refused.map((v) => v.path.join(".")),
      ["components.0.health.retries"]
    )
  })

  it("over the registry's and the label's canonical text and back", () => {
    fc.assert(
      fc.property(specs, (spec) => {
        assert.deepStrictEqual(Either.getOrThrow(parseCanonicalService(canonicalService(spec))), spec)
      })
    )
  })
})

describe("the hash of a component", () => {
  it("changes with every field", () => {
    const [web] = full.components
    for (const field of fieldsOf(ComponentSpec.ast)) {
      const fewer: Record<string, unknown> = { ...Schema.encodeSync(ComponentSpec)(web) }
      const key = field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
      assert.property(fewer, key)
      if (key === "name" || key === "image") fewer[key] = "other"
      else delete fewer[key]
      assert.notStrictEqual(specHash(Schema.decodeUnknownSync(ComponentSpec)(fewer)), specHash(web), field)
    }
  })

  it("does not change with another spelling of the same", () => {
    const component = (fields: Record<string, unknown>) =>
      specHash(Schema.decodeUnknownSync(ComponentSpec)({ name: "web", image: "nginx:1", ...fields }))
    const plain = component({})
    for (const same of [
      { image: "docker.io/library/nginx:1" },
      { stop_timeout: "10000ms" },
      { restart: "unless-stopped" },
      { settle: "1s", ports: [] }
    ]) {
      assert.strictEqual(component(same), plain, JSON.stringify(same))
    }
    assert.strictEqual(component({ env: { A: "1", B: "2" } }), component({ env: ["B=2", "A=1"] }))
    assert.strictEqual(component({ memory: "1g" }), component({ memory: "1024m" }))
  })
})

describe("what comes over the wire is not trusted", () => {
  it("each broken field is named by its path", () => {
    const message = toProto(full)
    const [web, db] = message.components
    assert.isDefined(web)
    assert.isDefined(db)
    web.ports = ["99999:1"]
    web.volumes = ["../etc:/etc"]
    db.image = "docker.io/NOT"
    const left = Either.getOrThrow(Either.flip(fromProto(message)))
    assert.deepStrictEqual(
      [...new Set(left.map(({ path }) => path.join(".")))],
      ["components.0.ports.0", "components.0.volumes.0", "components.1.image"]
    )
  })

  it("paths have the definition's names, and show nothing of an entry of env that is no pair", () => {
    const message = toProto(full)
    const [web] = message.components
    assert.isDefined(web?.health)
    web.stopTimeoutMs = -1n
    web.health.startPeriodMs = 2n ** 63n
    web.updateOrder = "never"
    web.dependsOn = ["NOT"]
    web.env = ["hunter2"]
    const left = Either.getOrThrow(Either.flip(fromProto(message)))
    assert.sameMembers(
      [...new Set(left.map(({ path }) => path.join(".")))],
      ["stop_timeout", "health.start_period", "update_order", "depends_on.0", "env.0"].map(
        (field) => `components.0.${field}`
      )
    )
    assert.notInclude(JSON.stringify(left), "hunter2")
  })

  it("a message with nothing in it is refused, and one without images to build is as one with none", () => {
    const empty = Either.getOrThrow(Either.flip(fromProto(create(ServiceSpecSchema))))
    assert.sameMembers(
      empty.map(({ path }) => String(path[0])),
      ["name", "components"]
    )
    const minimal = { name: "a", components: [{ name: "a", image: "x:1" }] }
    assert.deepStrictEqual(overTheWire(decode(minimal)), decode({ ...minimal, build: { images: {} } }))
    assert.deepStrictEqual(decode({ ...minimal, build: {} }), decode(minimal))
  })

  it("reading a definition never throws, whatever the text", () => {
    const lines = fc.constantFrom(
      'name = "a"',
      "[[components]]",
      'image = "x"',
      "[",
      "x = {",
      "a.b = 1",
      "env = 3",
      "env = [3]",
      "[components.health]",
      "[[components.routes]]",
      "[components]",
      "components = [[]]",
      'name = ["a"]',
      'ports = ["x", 1, "1:1"]',
      "__proto__ = {}",
      "\u0000"
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(lines).map((all) => all.join("\n"))
        ),
        (text) => {
          parseDefinition({ file: "a.toml", text, expectedName: "a" })
        }
      )
    )
  })
})
