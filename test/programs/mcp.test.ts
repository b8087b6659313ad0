import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create } from "@bufbuild/protobuf"
import { Effect, Exit, Layer, ManagedRuntime, Scope, Stream } from "effect"
import { build } from "esbuild"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import * as GrpcServer from "../../src/grpc/server.ts"
import * as GrpcService from "../../src/grpc/service.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { issue, makeCa } from "../support/certs.ts"

/* The real program, bundled, against a real gRPC server over TLS with canned handlers. */

const home = mkdtempSync(join(tmpdir(), "mcp-main-"))
const program = join(home, "mcp")
const configFile = join(home, "mcp.toml")
const tokenFile = join(home, "token")
const runtime = ManagedRuntime.make(Layer.empty)
const scope = Effect.runSync(Scope.make())

const LINES = 3_000
const component = create(pb.LiveComponentSchema, {
  service: "web",
  component: "api",
  container: "web-api",
  observed: pb.ObservedState.RUNNING,
  version: "v1"
})

const config = (address: string, ca = "ca.pem") => `
[services]
dir = "${home}/services"
[mcias]
server_url = "https://127.0.0.1:1"
ca_cert = "${home}/ca.pem"
[auth]
token_path = "${tokenFile}"
[[nodes]]
name = "rift"
address = "${address}"
ca_cert = "${home}/${ca}"
`

interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

const start = (...argv: ReadonlyArray<string>): ChildProcess =>
  spawn(process.execPath, [program, ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: home, MCP_CONFIG: configFile }
  })

const ended = (child: ChildProcess): Promise<Ran> =>
  new Promise((resolve) => {
    let out = ""
    let err = ""
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      out += text
    })
    child.stderr?.setEncoding("utf8").on("data", (text) => {
      err += text
    })
    child.on("close", (code) => resolve({ code, out, err }))
  })

const mcp = (...argv: ReadonlyArray<string>) => ended(start(...argv))

beforeAll(async () => {
  const ca = await makeCa()
  const certificate = await issue(ca)
  writeFileSync(join(home, "ca.pem"), ca.cert)
  writeFileSync(join(home, "other.pem"), (await makeCa("another")).cert)
  writeFileSync(tokenFile, "t0ken\n", { mode: 0o600 })
  mkdirSync(join(home, "services"))
  const handlers = {
    liveCheck: () => Effect.succeed({ components: [component] }),
    getServiceStatus: () => Effect.succeed({ services: [{ info: { name: "web", components: [{ name: "api" }] } }] }),
    logs: ({ follow }: pb.LogsRequest) => {
      const lines = Stream.map(Stream.range(1, LINES), (n) => ({
        component: "api",
        line: `line ${n} ${"x".repeat(100)}`,
        stream: "stdout"
      }))
      return follow ? Stream.concat(lines, Stream.never) : lines
    }
  }
  // Only what the tests call is handled; the rest would not be found.
  const service = GrpcService.service(pb.McpAgentService, handlers as never) as GrpcService.GrpcService<never>
  const server = GrpcServer.make<never, never, never>({
    host: "127.0.0.1",
    port: 0,
    certificate,
    services: [service],
    interceptor: (call, run) =>
      call.metadata.get("authorization") === "Bearer t0ken"
        ? run
        : Effect.fail(
            new RpcError({ code: Code.UNAUTHENTICATED, reason: "TOKEN_INVALID", detail: "the token is not valid" })
          )
  })
  const { address } = await runtime.runPromise(Scope.extend(server, scope))
  writeFileSync(configFile, config(address))
  writeFileSync(join(home, "wrong-ca.toml"), config(address, "other.pem"))
  writeFileSync(join(home, "dead.toml"), config("127.0.0.1:1"))
  await build({
    entryPoints: ["src/programs/mcp.ts"],
    outfile: program,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    external: ["msgpackr-extract", "@parcel/watcher"],
    logLevel: "error"
  })
}, 60_000)

afterAll(async () => {
  await runtime.runPromise(Scope.close(scope, Exit.void))
  rmSync(home, { recursive: true, force: true })
})

describe("mcp", () => {
  it("prints its version and help without a config", async () => {
    assert.deepStrictEqual(await mcp("--version", "--config", "/none"), { code: 0, out: "mcp dev\n", err: "" })
    const help = await mcp("deploy", "--help", "--config", "/none")
    assert.strictEqual(help.code, 0)
    assert.match(help.out, /^Usage: mcp deploy/)
  })

  it("says which config is missing", async () => {
    const ran = await mcp("ps", "--config", join(home, "none.toml"))
    assert.deepStrictEqual([ran.code, ran.out], [2, ""])
    assert.include(ran.err, `mcp: there is no config file at ${home}/none.toml\n  next: `)
  })

  it("calls over TLS with the token", async () => {
    const ran = await mcp("ps")
    assert.deepStrictEqual([ran.code, ran.err], [0, ""])
    assert.match(ran.out, /^SERVICE.*\nweb +api +rift +running +v1/)
  })

  it("tells a wrong CA, a dead node, a refused token and an absent MCIAS apart", async () => {
    const wrong = await mcp("stop", "web", "--config", join(home, "wrong-ca.toml"))
    assert.strictEqual(wrong.code, 1, wrong.err)
    assert.match(wrong.err, /^mcp: stop web failed on rift: .*\n {2}next: check ca_cert of node rift in the config/)
    const dead = await mcp("ps", "--config", join(home, "dead.toml"))
    assert.strictEqual(dead.code, 4)
    assert.match(dead.out, /rift +unreachable/)
    writeFileSync(tokenFile, "other\n")
    const refused = await mcp("ps")
    assert.deepStrictEqual(
      [refused.code, refused.err],
      [5, "mcp: ps failed on rift: the token is not valid\n  next: mcp login\n"]
    )
    writeFileSync(tokenFile, "t0ken\n")
    const login = await mcp("login", "--username", "admin", "--password-file", tokenFile)
    assert.strictEqual(login.code, 1, login.err)
    assert.match(login.err, /^mcp: MCIAS at https:\/\/127\.0\.0\.1:1 could not be asked: /)
  })

  it("does not cut what a slow pipe has not taken yet", async () => {
    const ran = await mcp("logs", "web/api")
    assert.deepStrictEqual([ran.code, ran.err], [0, ""])
    assert.lengthOf(ran.out.trimEnd().split("\n"), LINES)
  })

  it("ends quietly when its reader goes away", async () => {
    const child = start("logs", "web/api")
    const done = ended(child)
    child.stdout?.once("data", () => child.stdout?.destroy())
    const { code, err } = await done
    assert.deepStrictEqual([code, err], [0, ""])
  })

  it("ends with 130 on Ctrl-C", async () => {
    const child = start("logs", "web/api", "-f")
    const done = ended(child)
    child.stdout?.once("data", () => child.kill("SIGINT"))
    const { code, err } = await done
    assert.deepStrictEqual([code, err], [130, ""])
  })

  // `script` gives it a terminal of its own; each answer is sent as soon as its question is seen.
  it.runIf(process.platform === "linux")("asks on a terminal, and never shows the password", async () => {
    const child = spawn("script", ["-qec", `${process.execPath} ${program} login`, "/dev/null"], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: process.env.PATH, HOME: home, MCP_CONFIG: configFile, SHELL: "/bin/sh" }
    })
    const answers: Array<readonly [string, string]> = [
      ["Username: ", "admin\r"],
      ["Password of admin: ", "hunter2\r"]
    ]
    let seen = ""
    child.stdout.on("data", (text) => {
      seen += text
      const [next] = answers
      if (next === undefined || !seen.includes(next[0])) return
      answers.shift()
      child.stdin.write(next[1])
    })
    const { code, out } = await ended(child)
    assert.strictEqual(code, 1, out)
    assert.lengthOf(answers, 0, out)
    assert.include(out, "could not be asked")
    assert.notInclude(out, "hunter2")
  })
})
