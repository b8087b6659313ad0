import { create } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { stringify } from "smol-toml"
import { loadAgentConfig } from "../../src/domain/AgentConfig.ts"
import { withActive } from "../../src/domain/activeLine.ts"
import { loadCliConfig } from "../../src/domain/CliConfig.ts"
import { formatProblem, parseDefinition } from "../../src/domain/Definition.ts"
import { ServiceSpecSchema } from "../../src/gen/mcp/v1/mcp_pb.ts"
import { fromProto } from "../../src/grpc/spec.ts"

const keys = fc.constantFrom(
  ...["name", "image", "ports", "volumes", "env", "health", "http", "port", "routes", "depends_on", "cmd", "snapshot"],
  ...["constructor", "toString", "hasOwnProperty", "length", "0"]
)
/** Any value that TOML can hold. */
const { value: anything } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string(),
    fc.constantFrom("80:80", "/a:/x", "web", "A=1", "10s", "nginx", "host", "exec", "", "\u0000", "\u001b[31m"),
    fc.integer({ min: -70_000, max: 70_000 }),
    fc.double({ noNaN: false }),
    fc.boolean(),
    fc.date({ noInvalidDate: true, min: new Date("0001-01-01"), max: new Date("9999-12-31") }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.string(), keys), tie("value"), { maxKeys: 4 })
  )
}))

const component = fc.dictionary(keys, anything, { maxKeys: 6 })
/** Near enough to a definition to reach the rules, wrong enough to break each of them. */
const nearly = fc.record(
  {
    name: fc.oneof(fc.constant("shop"), anything),
    active: fc.oneof(fc.boolean(), anything),
    components: fc.oneof(
      fc.array(
        fc.tuple(component, component).map(([a, b]) => ({ name: "web", image: "nginx:1", ...a, ...b })),
        { maxLength: 3 }
      ),
      anything
    ),
    snapshot: fc.oneof(fc.dictionary(keys, anything, { maxKeys: 3 }), anything),
    build: anything
  },
  { requiredKeys: [] }
)

// smol-toml refuses to write what TOML cannot hold, such as null.
const asToml = (value: unknown): string => {
  try {
    return stringify(value)
  } catch {
    return ""
  }
}

describe("no text makes a reader throw", () => {
  it("a definition of any values gives a spec or problems, each with a place in the text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly.map(asToml)), (text) => {
        const read = parseDefinition({ file: "shop.toml", text, expectedName: "shop" })
        const lines = text.split("\n")
        for (const problem of Either.match(read, { onLeft: (all) => all, onRight: ({ warnings }) => warnings })) {
          assert.isAtMost(problem.line ?? 1, lines.length)
          assert.notInclude(formatProblem(problem), "\u001b")
        }
      }),
      { numRuns: 300 }
    )
  })

  it("configs of any values and any variables", () => {
    const names = fc.constantFrom("MCP_AGENT_MONITOR_HEAL", "MCP_AGENT_AUTH_RULES", "MCP_MASTER_ADDRESSES", "MCP_X")
    const section = fc.constantFrom("server", "auth", "monitor", "boot", "nodes", "mcias", "log", "master")
    const config = fc.dictionary(section, anything, { maxKeys: 5 }).map(asToml)
    fc.assert(
      fc.property(config, fc.dictionary(names, fc.oneof(fc.string(), fc.json())), (text, env) => {
        loadAgentConfig({ file: "a.toml", text, env })
        loadCliConfig({ file: "/a.toml", text, env, home: "/home/ada" })
      })
    )
  })

  it("setting active in any text either edits it or says why not", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly.map(asToml)), fc.boolean(), (text, active) => {
        withActive(text, active)
      })
    )
  })

  it("a message of any values gives a spec or violations", () => {
    const text = fc.oneof(fc.string(), fc.constantFrom("web", "nginx", "1:1", "A=1", "__proto__=1"))
    const wire = fc.record({
      name: text,
      tier: text,
      components: fc.array(
        fc.record({
          name: text,
          image: text,
          ports: fc.array(text),
          env: fc.array(text),
          cpus: fc.double(),
          memoryBytes: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          settleMs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          dependsOn: fc.array(text)
        }),
        { maxLength: 3 }
      )
    })
    fc.assert(fc.property(wire, (message) => void fromProto(create(ServiceSpecSchema, message))))
  })
})

const web = (lines: string) => `name = "shop"\n[[components]]\nname = "web"\nimage = "nginx:1"\n${lines}\n`
const said = (lines: string) =>
  Either.match(parseDefinition({ file: "shop.toml", text: web(lines) }), {
    onLeft: (all) => all.map((problem) => formatProblem(problem).replace("shop.toml:", "")),
    onRight: () => []
  })

describe("no value of the environment is told", () => {
  const secret = "hunter2"
  it.each([
    `env = ["${secret}"]`,
    `env = ["A=${secret}", "A=${secret}x"]`,
    `env = "${secret}"`,
    `env = { A = { B = "${secret}" } }`,
    `env = [["${secret}"]]`,
    `env = { A = "${secret}\\u0000" }`,
    `env.A.B = "${secret}"`
  ])("by the definition's reader: %s", (lines) => {
    const told = said(lines)
    assert.isNotEmpty(told)
    assert.notInclude(told.join("\n"), secret)
  })

  it.each([[[secret]], [["A=1", `A=${secret}`]], [[`=${secret}`]], [[`A=${secret}\0`]], [[`a b=${secret}`]]])(
    "by what reads the wire: %j",
    (env) => {
      const message = create(ServiceSpecSchema, { name: "shop", components: [{ name: "web", image: "nginx", env }] })
      const left = Either.getOrThrow(Either.flip(fromProto(message)))
      const inEnv = left.filter(({ path }) => path.includes("env"))
      assert.isNotEmpty(inEnv)
      assert.notInclude(JSON.stringify(left), secret)
    }
  )
})

describe("a mistake is told where it stands", () => {
  it.each([
    ['[bulid.images]\na = "b"', '5:1: bulid: unknown key; did you mean "build"?'],
    ['helth.interval = "5s"', '5:1: components[0].helth: unknown key; did you mean "health"?'],
    ["health = { cmd = [] }", "5:18: components[0].health.cmd: expected at least one, found an empty array"],
    [
      'health = { tcp = true, port = 0 }\nports = ["1:80"]',
      "5:31: components[0].health.port: expected a container port, 1 to 65535, or a route's name, found 0"
    ],
    [
      'env = ["A=1", "B=1", "A=1"]',
      "5:22: components[0].env[2]: expected a variable other than A, which is set above, found a text"
    ]
  ])("%s", (lines, expected) => assert.include(said(lines), expected))

  it("and a key that is no bare one is quoted, so that it can pass for no other", () => {
    assert.match(said('"health.http" = 1')[0] ?? "", /^5:1: components\[0\]\."health\.http": unknown key;/)
    assert.match(said('"\\u001b[31m" = 1')[0] ?? "", /^5:1: components\[0\]\."\\u001b\[31m": unknown key;/)
  })

  it("a service without components is told as such", () => {
    const read = parseDefinition({ file: "shop.toml", text: 'name = "shop"\ncomponents = []' })
    assert.deepStrictEqual(Either.getOrThrow(Either.flip(read)).map(formatProblem), [
      "shop.toml:2:14: components: expected at least one, found an empty array"
    ])
  })
})

describe("the CLI's config", () => {
  const config = '[mcias]\nserver_url = "https://mcias.example"\n'
  const cli = (text: string, env: Record<string, string>) =>
    Either.match(loadCliConfig({ file: "/m.toml", text, env, home: "/home/ada" }), {
      onLeft: (all) => all.map(formatProblem),
      onRight: () => []
    })

  it("is not upset by the variables of another MCP, and still finds a slip", () => {
    const env = { MCP_TIMEOUT: "30000", MCP_TOOL_TIMEOUT: "1", MCP_SERVER: "x" }
    assert.deepStrictEqual(cli(config, env), [])
    assert.deepStrictEqual(cli(config, { MCP_SERVICE_DIR: "/x" }), [
      "MCP_SERVICE_DIR: overrides no key; did you mean MCP_SERVICES_DIR?"
    ])
  })

  it("refuses two nodes of one name, since a definition could mean either", () => {
    const node = '[[nodes]]\nname = "rift"\naddress = "10.0.0.1:9444"\n'
    assert.deepStrictEqual(cli(`${config}${node}${node}`, {}), [
      '/m.toml:7:8: nodes[1].name: expected a name that no node above has, found "rift"'
    ])
  })
})
