export interface NewAgent {
  readonly dir: string
  readonly node: string
  /** host:port */
  readonly address: string
  readonly mcias: string
  readonly filesRoot: string
}

export const agentPaths = (dir: string) => ({
  config: `${dir}/mcp-agent.toml`,
  certs: `${dir}/certs`,
  certificate: `${dir}/certs/agent.pem`,
  key: `${dir}/certs/agent.key`,
  authority: `${dir}/certs/ca.pem`,
  database: `${dir}/mcp.db`
})

const text = (value: string) => JSON.stringify(value)

/** The config of a new agent, with what an operator is likely to want next as comments. */
export const agentTemplate = (agent: NewAgent): string => {
  const at = agentPaths(agent.dir)
  return `# The config of mcp-agent. After a change: mcp-agent check-config --config ${at.config}, then restart the agent.
# Every key can be set by the environment too: MCP_AGENT_SERVER_GRPC_ADDR and so on.

[server]
grpc_addr = ${text(agent.address)}   # one address of this node, never all of them
tls_cert = ${text(at.certificate)}   # with its chain; read again when it changes
tls_key = ${text(at.key)}

[database]
path = ${text(at.database)}

[mcias]
server_url = ${text(agent.mcias)}
ca_cert = ${text(at.authority)}
service_name = "mcp"

[agent]
node_name = ${text(agent.node)}
files_root = ${text(agent.filesRoot)}   # services keep their files below it, each in a folder of its own

# Without [runtime] the agent runs a podman service of its own.
# [runtime]
# socket = "unix:///run/podman/podman.sock"
# auth_file = ${text(`${agent.dir}/registry-auth.json`)}   # credentials of image registries: podman login --authfile

# Without rules any account that is no guest may do all.
# [[auth.rules]]
# principals = ["role:viewer", "account:ci"]
# verbs = ["read"]   # read | operate | deploy | files | admin
# services = ["*"]

[log]
level = "info"     # debug | info | warn | error
format = "json"    # json | pretty
`
}
