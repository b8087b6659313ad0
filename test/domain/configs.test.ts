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

  it("refuses a node without an address and a server without TLS", () => {
    const wrong = cli('[mcias]\nserver_url = "http://x"\n[[nodes]]\nname = "rift"\n')
    const lines = Either.match(wrong, { onLeft: (all) => all.map(formatProblem), onRight: () => [] })
    assert.deepStrictEqual(lines, [
      '/etc/mcp/mcp.toml:2:14: mcias.server_url: expected a URL that starts with https://, found "http://x"',
      "/etc/mcp/mcp.toml:3:1: nodes[0]: expected a node with either address or addresses, found a table"
    ])
  })
})
