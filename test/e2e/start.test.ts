import { writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort, run } from "../support/agent.ts"
import { issue, makeCa } from "../support/certs.ts"
import { temporaryFolder } from "../support/folder.ts"

const agent = join(import.meta.dirname, "../../dist/mcp-agent")

/** A node's files, on which no podman answers; what is given replaces a line. */
const config = (values: Readonly<Record<string, string>>) =>
  Effect.promise(async () => {
    const dir = temporaryFolder()
    const ca = await makeCa()
    const { cert, key } = await issue(ca)
    for (const [name, text] of Object.entries({ "ca.pem": ca.cert, "agent.pem": cert, "agent.key": key })) {
      writeFileSync(join(dir, name), text, { mode: 0o600 })
    }
    const lines = {
      grpc_addr: `"127.0.0.1:${await Effect.runPromise(freePort)}"`,
      tls_cert: `"${dir}/agent.pem"`,
      path: `"${dir}/mcp.db"`,
      socket: `"unix://${dir}/none.sock"`,
      ca_cert: `"${dir}/ca.pem"`,
      ...values
    }
    const file = join(dir, "mcp-agent.toml")
    writeFileSync(
      file,
      `[server]
grpc_addr = ${lines.grpc_addr}
tls_cert = ${lines.tls_cert}
tls_key = "${dir}/agent.key"
[database]
path = ${lines.path}
[mcias]
server_url = "https://127.0.0.1:1"
ca_cert = ${lines.ca_cert}
[agent]
node_name = "rift"
[runtime]
socket = ${lines.socket}
`
    )
    return file
  })

/** A port that somebody listens on, as long as the scope lasts. */
const taken = Effect.acquireRelease(
  Effect.async<{ port: number; close: () => void }>((resume) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed({ port, close: () => void server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

describe("an agent that cannot start says why, and what to do", () => {
  const cases: ReadonlyArray<readonly [what: string, values: Readonly<Record<string, string>>, said: RegExp]> = [
    ["without its certificate", { tls_cert: '"/none.pem"' }, /cannot use the certificate .*\n {2}next: mcp ca issue/],
    ["without the CA of MCIAS", { ca_cert: '"/none.pem"' }, /\/none\.pem.*\n {2}next: correct \[mcias\]/],
    ["without the folder of its database", { path: '"/dev/null/mcp.db"' }, /\/dev\/null.*\n {2}next: check that/],
    ["on all interfaces", { grpc_addr: '"0.0.0.0:9444"' }, /never all interfaces.*\n {2}next: correct it/],
    [
      "on an address that is not the node's",
      { grpc_addr: '"192.0.2.1:9444"' },
      /cannot listen on .*\n {2}next: see who/
    ]
  ]
  for (const [what, values, said] of cases) {
    it.scopedLive(what, () =>
      Effect.gen(function* () {
        const ran = yield* run(agent, ["--config", yield* config(values)])
        assert.match(ran.stderr, said)
        assert.notMatch(ran.stderr, /^ {4}at /m)
        assert.isAbove(Number(ran.code), 0)
      })
    )
  }

  it.scopedLive("on a port that is taken", () =>
    Effect.gen(function* () {
      const { port } = yield* taken
      const ran = yield* run(agent, ["--config", yield* config({ grpc_addr: `"127.0.0.1:${port}"` })])
      assert.match(ran.stderr, /cannot listen on .*in use.*\n {2}next: see who listens there \(ss -ltnp\)/)
    })
  )
})
