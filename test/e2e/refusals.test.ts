import { createPrivateKey, randomUUID } from "node:crypto"
import { chmodSync, writeFileSync } from "node:fs"
import { connect as connectPlain } from "node:http2"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { decodeJwt, SignJWT } from "jose"
import { freePort, login, type Node, type Ran, RunningNode, read } from "../support/agent.ts"
import { makeCa } from "../support/certs.ts"
import { image } from "../support/podman.ts"

const definition = `name = "shop"\n[[components]]\nname = "web"\nimage = "${image}"\n`

/** One line that says what failed, and one that says what to do. */
const explained = (ran: Ran, code: number, why: RegExp) => {
  assert.strictEqual(ran.code, code, ran.stderr)
  const lines = ran.stderr.trimEnd().split("\n")
  const said = lines.filter((line) => line.startsWith("mcp: "))
  assert.strictEqual(said.length, 1, ran.stderr)
  assert.match(said[0] ?? "", why)
  assert.match(ran.stderr, /^ +next: \S/m)
  assert.notMatch(ran.stderr, /^ +at /m)
}

const tokenFile = (node: Node, name: string, token: string) => {
  const file = join(node.dir, name)
  writeFileSync(file, token)
  chmodSync(file, 0o600)
  return file
}

/** A token with the claims of the operator's, signed by this identity server's own key. */
const signed = (node: Node, change: Record<string, unknown>) =>
  Effect.promise(async () => {
    const claims = { ...decodeJwt(read(node.token).trim()), jti: randomUUID(), ...change }
    const key = createPrivateKey(read(join(node.mciasDir, "signing-key.pem")))
    return new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", typ: "JWT" }).sign(key)
  })

/** What the agent's port does with a client's hello. */
const handshake = (node: Node, maxVersion: "TLSv1.2" | "TLSv1.3") => {
  const [host = "", port] = node.agentAddress.split(":")
  return Effect.async<string>((resume) => {
    const socket = connectTls({ host, port: Number(port), ca: node.ca.cert, minVersion: "TLSv1.2", maxVersion })
    socket.once("secureConnect", () => {
      const protocol = socket.getProtocol() ?? "none"
      socket.destroy()
      resume(Effect.succeed(protocol))
    })
    socket.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(`refused: ${error.code}`)))
  })
}

layer(RunningNode.layer, { excludeTestServices: true, timeout: "120 seconds" })("what is refused, and how", (it) => {
  it.effect("a definition's errors are told all at once, with file, line and column, and nothing is sent", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const file = node.define(
        "bad",
        'name = "bad"\nactiv = true\n[[components]]\nname = "web"\nimage = 7\nport = ["1:2"]\n'
      )
      const { code, stderr } = yield* node.mcpWith({ address: "127.0.0.1:1" }, "deploy", "bad")
      assert.strictEqual(code, 2)
      assert.include(stderr, `${file}:2:1`)
      assert.include(stderr, "active")
      assert.include(stderr, `${file}:5:`)
      assert.include(stderr, `${file}:6:1`)
      assert.include(stderr, "ports")
      assert.include(stderr, "nothing was sent")
    })
  )

  it.effect("a service that nobody has, and a definition that is not there", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      explained(yield* node.mcp("status", "nothere"), 1, /nothere/)
      explained(yield* node.mcp("stop", "nothere"), 1, /nothere/)
      explained(yield* node.mcp("deploy", "nothere"), 2, /nothere\.toml/)
    })
  )

  it.effect("a node that does not answer", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      node.define("shop", definition)
      const address = `127.0.0.1:${yield* freePort}`
      explained(yield* node.mcpWith({ address }, "deploy", "shop"), 1, /here/)
      const ps = yield* node.mcpWith({ address }, "ps")
      assert.strictEqual(ps.code, 4)
      assert.include(ps.stdout + ps.stderr, "here")
    })
  )

  it.effect("a node whose certificate another CA has signed", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const other = yield* Effect.promise(() => makeCa("another CA"))
      const file = join(node.dir, "other-ca.pem")
      writeFileSync(file, other.cert)
      node.define("shop", definition)
      explained(yield* node.mcpWith({ ca_cert: file }, "deploy", "shop"), 1, /certificate/i)
    })
  )

  it.effect("no token, one that is nonsense, one of a foreign key, one that has expired", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const status = (token_path: string) => node.mcpWith({ token_path }, "status")
      explained(yield* status(join(node.dir, "no-token")), 5, /not logged in/)
      const genuine = read(node.token).trim()
      const forged = `${genuine.slice(0, genuine.lastIndexOf(".") + 1)}${Buffer.alloc(64, 7).toString("base64url")}`
      for (const token of ["nonsense", forged]) {
        const ran = yield* node.mcpWith({ token_path: tokenFile(node, "wrong", token) }, "deploy", "shop")
        explained(ran, 5, /token/)
      }
      const now = Math.floor(Date.now() / 1000)
      const expired = yield* signed(node, { iat: now - 7200, exp: now - 3600 })
      explained(yield* node.mcpWith({ token_path: tokenFile(node, "old", expired) }, "deploy", "shop"), 5, /expired/)
      const open = tokenFile(node, "open", genuine)
      chmodSync(open, 0o644)
      explained(yield* node.mcpWith({ token_path: open }, "deploy", "shop"), 5, /others can read/)
    })
  )

  it.effect("a guest", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const token_path = yield* login(node, "guest")
      node.define("shop", definition)
      explained(yield* node.mcpWith({ token_path }, "deploy", "shop"), 5, /guest/)
    })
  )

  it.effect("TLS 1.2 and plain text", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      assert.strictEqual(yield* handshake(node, "TLSv1.3"), "TLSv1.3")
      assert.match(yield* handshake(node, "TLSv1.2"), /^refused/)
      const plain = yield* Effect.async<string>((resume) => {
        const session = connectPlain(`http://${node.agentAddress}`)
        const request = session.request({ ":method": "POST", ":path": "/grpc.health.v1.Health/Check" })
        request.once("response", () => resume(Effect.succeed("answered")))
        request.once("error", () => {})
        session.once("error", () => resume(Effect.succeed("refused")))
        session.once("close", () => resume(Effect.succeed("refused")))
      })
      assert.strictEqual(plain, "refused")
    })
  )

  it.scoped("a second agent on the same database, and one that would listen everywhere", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const second = join(node.dir, "agent/second.toml")
      writeFileSync(second, read(node.agentConfig).replace(node.agentAddress, `127.0.0.1:${yield* freePort}`))
      const agent = yield* node.agentWith(second)
      assert.strictEqual(yield* agent.ended, 1)
      assert.match(agent.log(), /mcp-agent: another agent \(pid \d+\) holds the database/)
      writeFileSync(second, read(node.agentConfig).replace(node.agentAddress, "0.0.0.0:9444"))
      const everywhere = yield* node.agentWith(second)
      assert.strictEqual(yield* everywhere.ended, 2)
      assert.include(everywhere.log(), "grpc_addr")
    })
  )
})
