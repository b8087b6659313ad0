import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import { loadAgentConfig, renderConfig } from "../../src/domain/AgentConfig.ts"
import { loadCliConfig } from "../../src/domain/CliConfig.ts"
import { formatProblem } from "../../src/domain/Toml.ts"

const agentText = `
[server]
grpc_addr = "100.64.0.1:9444"
tls_cert = "/srv/mcp/certs/agent.pem"
tls_key = "/srv/mcp/certs/agent.key"
[database]
path = "/srv/mcp/mcp.db"
[mcias]
server_url = "https://mcias.example:8443"
[agent]
node_name = "rift"
`
const agent = (text = agentText, env: Record<string, string> = {}) => loadAgentConfig({ file: "a.toml", text, env })
const said = (loaded: ReturnType<typeof agent>) =>
  Either.match(loaded, { onLeft: (all) => all.map(formatProblem), onRight: () => [] })

describe("the agent's config", () => {
  it("has its defaults filled in, and is printed as it is in force, to be read back as the same", () => {
    const config = Either.getOrThrow(agent())
    assert.deepInclude(config.server, { grpcAddr: { host: "100.64.0.1", port: 9444 } })
    assert.deepInclude(config.monitor, { interval: 60_000, flapThreshold: 3, heal: false })
    assert.deepStrictEqual(config.log, { level: "info", format: "json" })
    assert.deepStrictEqual(Either.getOrThrow(agent(renderConfig(config))), config)
  })

  it.each([
    "0.0.0.0:1",
    ":1",
    "[::]:1",
    "0:1",
    "0x0:1",
    "000.000.000.000:1",
    "[::0]:1",
    "[::ffff:0.0.0.0]:1",
    "[0:0:0:0:0:0:0:0]:1"
  ])("never listens on all interfaces, as in %s", (address) => {
    const [problem] = said(agent(agentText.replace("100.64.0.1:9444", address)))
    assert.include(problem, "a.toml:3:13: server.grpc_addr: expected one address of this node")
  })

  it("gets all its mistakes at once, those of the environment by the variable's name", () => {
    const text = `${agentText}\n[monitor]\nintervall = "60s"\nalert_command = "notify me"\n[auth]\nrules = [{ principals = ["ada"], verbs = ["drop"], services = ["*"] }]\n`
    assert.deepStrictEqual(said(agent(text, { MCP_AGENT_LOG_LEVEL: "loud", MCP_AGENT_SERVR_TLS_KEY: "/x" })), [
      'MCP_AGENT_LOG_LEVEL: log.level: expected "debug" or "info" or "warn" or "error", found "loud"',
      'a.toml:14:1: monitor.intervall: unknown key; did you mean "interval"?',
      'a.toml:15:17: monitor.alert_command: expected an array, found "notify me"',
      'a.toml:17:26: auth.rules[0].principals[0]: expected "role:NAME" or "account:NAME", found "ada"',
      'a.toml:17:43: auth.rules[0].verbs[0]: expected "read" or "operate" or "deploy" or "files" or "admin", found "drop"',
      "MCP_AGENT_SERVR_TLS_KEY: overrides no key; did you mean MCP_AGENT_SERVER_TLS_KEY?"
    ])
  })

  it("is overridden by the environment, by the type of each key", () => {
    const config = Either.getOrThrow(
      agent(agentText, {
        MCP_AGENT_SERVER_GRPC_ADDR: "[fd00::1]:1",
        MCP_AGENT_MONITOR_HEAL: "true",
        MCP_AGENT_MONITOR_FLAP_THRESHOLD: "5",
        MCP_AGENT_AUTH_SERVICE_ACCOUNTS: '["mcp-master"]',
        MCP_AGENT_MONITOR_INTERVAL: "90s"
      })
    )
    assert.deepStrictEqual(config.server.grpcAddr, { host: "fd00::1", port: 1 })
    assert.deepInclude(config.monitor, { heal: true, flapThreshold: 5, interval: 90_000 })
    assert.deepStrictEqual(config.auth.serviceAccounts, ["mcp-master"])
  })
})

describe("what the agent's config refuses", () => {
  const replaced = (from: string, to: string) => said(agent(agentText.replace(from, to)))

  it.each(["*:1", "100.64.0.1", "100.64.0.1:99999", "[nope]:1", "a b:1"])("the address %s", (address) => {
    assert.lengthOf(replaced("100.64.0.1:9444", address), 1)
  })

  it.each(["mcp.db", "", "/srv/../mcp.db", "/srv/./mcp.db", "/srv/.."])("the path %j", (path) => {
    assert.include(
      replaced("/srv/mcp/mcp.db", path)[0],
      'database.path: expected an absolute path, without "." and ".."'
    )
  })

  it.each([
    ['node_name = "rift"', 'node_name = "Rift"', "agent.node_name: expected "],
    ["[agent]", 'service_name = "a b"\n[agent]', "expected the name of a service at MCIAS"],
    ["[agent]", '[master]\naddresses = ["x:99999"]\ntoken_path = "/t"\n[agent]', "expected host:port"],
    ["[agent]", '[dns]\ndriver = "bind"\nzone = "x"\n[agent]', 'expected "mcns" or "rfc2136"'],
    ["https://mcias", "http://mcias", "expected a URL that starts with https://"],
    ["[database]", "x = 1\n[database]", "server.x: unknown key"]
  ])("%s as %j", (from, to, expected) => {
    assert.include(replaced(from, to).join("\n"), expected)
  })

  it("a section that is no table, also when a variable overrides a key of it", () => {
    assert.deepStrictEqual(said(agent(`log = "debug"\n${agentText}`, { MCP_AGENT_LOG_LEVEL: "info" })), [
      'a.toml:1:7: log: expected a table, found "debug"'
    ])
  })
})

describe("arrays in variables", () => {
  it.each([
    ["a, b", ["a", "b"]],
    ['["a, b"]', ["a, b"]],
    ["a", ["a"]],
    ["", []]
  ])("%j", (text, accounts) => {
    const config = Either.getOrThrow(agent(agentText, { MCP_AGENT_AUTH_SERVICE_ACCOUNTS: text }))
    assert.deepStrictEqual(config.auth.serviceAccounts, accounts)
  })

  it("of tables are JSON", () => {
    const rules = [{ principals: ["role:viewer"], verbs: ["read"], services: ["*"] }]
    const config = Either.getOrThrow(agent(agentText, { MCP_AGENT_AUTH_RULES: JSON.stringify(rules) }))
    assert.deepStrictEqual<unknown>(config.auth.rules, rules)
    assert.deepStrictEqual(said(agent(agentText, { MCP_AGENT_AUTH_RULES: "all" })), [
      'MCP_AGENT_AUTH_RULES: auth.rules: expected an array, found "all"'
    ])
  })
})

describe("the CLI's config", () => {
  const text = `
[mcias]
server_url = "https://mcias.example:8443"
ca_cert = "ca.pem"
[[nodes]]
name = "rift"
address = "100.64.0.1:9444"
`
  const cli = (text: string, env: Record<string, string> = {}) =>
    loadCliConfig({ file: "/etc/mcp/mcp.toml", text, env, home: "/home/ada" })

  it("finds files from the home and from its own folder, and knows every node's addresses", () => {
    const config = Either.getOrThrow(cli(text))
    assert.strictEqual(config.services.dir, "/home/ada/.config/mcp/services")
    assert.strictEqual(config.auth.tokenPath, "/home/ada/.config/mcp/token")
    assert.strictEqual(config.mcias.caCert, "/etc/mcp/ca.pem")
    assert.deepStrictEqual(config.nodes[0]?.addresses, ["100.64.0.1:9444"])
  })

  it("is overridden by the environment, which may hold MCP's other variables too", () => {
    const config = Either.getOrThrow(cli(text, { MCP_AUTH_TOKEN_PATH: "~/t", MCP_CONFIG: "x", MCP_DEBUG: "1" }))
    assert.strictEqual(config.auth.tokenPath, "/home/ada/t")
  })

  it("says which variable is mistyped", () => {
    const wrong = cli(text, { MCP_AUTH_TOKEN_PAHT: "x", MCP_AGENT_X: "1", MCP_ALERT_KIND: "1" })
    const lines = Either.match(wrong, { onLeft: (all) => all.map(formatProblem), onRight: () => [] })
    assert.deepStrictEqual(lines, ["MCP_AUTH_TOKEN_PAHT: overrides no key; did you mean MCP_AUTH_TOKEN_PATH?"])
  })

  it("refuses a node without an address and a server without TLS", () => {
    const wrong = cli('[mcias]\nserver_url = "http://x"\n[[nodes]]\nname = "rift"\n')
    const lines = Either.match(wrong, { onLeft: (all) => all.map(formatProblem), onRight: () => [] })
    assert.deepStrictEqual(lines, [
      '/etc/mcp/mcp.toml:2:14: mcias.server_url: expected a URL that starts with https://, found "http://x"',
      "/etc/mcp/mcp.toml:3:1: nodes[0]: expected a node with either address or addresses, found a table"
    ])
  })
})
