import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Cause, Context, Effect, Layer, type Scope } from "effect"
import { type Ca, issue, makeCa } from "./certs.ts"
import * as TestPodman from "./podman.ts"

const dist = join(import.meta.dirname, "../../dist")

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A program that runs until it is told to end. */
export interface Daemon {
  readonly pid: number
  /** All that it has written. */
  readonly log: () => string
  /** Waits until it has written a line with this text, and answers that line. */
  readonly line: (text: string) => Effect.Effect<string>
  readonly signal: (name: NodeJS.Signals) => Effect.Effect<void>
  /** Waits for its end and answers its exit code; null after a signal. */
  readonly ended: Effect.Effect<number | null>
  readonly stop: Effect.Effect<void>
}

type Env = Readonly<Record<string, string>>

/** Runs a program to its end. */
export const run = (command: string, args: ReadonlyArray<string>, env: Env = {}): Effect.Effect<Ran> =>
  Effect.promise(async (signal) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"], signal })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => {
      stdout += chunk
    })
    child.stderr.on("data", (chunk) => {
      stderr += chunk
    })
    const [code] = await once(child, "close")
    return { code, stdout, stderr }
  })

const daemonOf = (command: string, child: ChildProcess): Daemon => {
  let log = ""
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const check of waiting) check()
  }
  child.stderr?.on("data", (chunk) => {
    log += chunk
    wake()
  })
  const exit = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)))
  let over = false
  void exit.then(() => {
    over = true
    wake()
  })
  const ended = Effect.promise(() => exit)
  const signal = (name: NodeJS.Signals) => Effect.sync(() => void child.kill(name))
  return {
    pid: child.pid ?? 0,
    log: () => log,
    line: (text) =>
      Effect.async<string>((resume) => {
        const check = () => {
          const found = log.split("\n").find((line) => line.includes(text))
          if (found === undefined && !over) return
          waiting.delete(check)
          resume(
            found === undefined
              ? Effect.dieMessage(`${command} ended without writing "${text}":\n${log}`)
              : Effect.succeed(found)
          )
        }
        waiting.add(check)
        check()
        return Effect.sync(() => waiting.delete(check))
      }).pipe(
        Effect.timeoutFailCause({
          duration: "30 seconds",
          onTimeout: () => Cause.die(new Error(`${command} did not write "${text}":\n${log}`))
        })
      ),
    signal,
    ended,
    stop: signal("SIGTERM").pipe(
      Effect.zipRight(
        Effect.timeoutTo(ended, { duration: "15 seconds", onSuccess: () => true, onTimeout: () => false })
      ),
      Effect.flatMap((gone) => (gone ? Effect.void : Effect.zipRight(signal("SIGKILL"), ended)))
    )
  }
}

/** Starts a program that ends with the scope. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  env: Env = {}
): Effect.Effect<Daemon, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      daemonOf(command, spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] }))
    ),
    (daemon) => daemon.stop
  )

/** A port that was free a moment ago. */
export const freePort: Effect.Effect<number> = Effect.promise(async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
})

export const password = "correct horse battery staple"

/** `mcp-mcias`, `mcp-agent` and `mcp` as they are built, on a podman of their own. */
export interface Node {
  readonly dir: string
  readonly ca: Ca
  readonly podman: TestPodman.Podman
  readonly agentAddress: string
  readonly agentConfig: string
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string }
  readonly services: string
  readonly mciasDir: string
  readonly token: string
  /** Runs `mcp` as the operator. */
  readonly mcp: (...args: ReadonlyArray<string>) => Effect.Effect<Ran>
  /** The same with these lines of the config replaced: `{ token_path: "/other" }`. */
  readonly mcpWith: (values: Env, ...args: ReadonlyArray<string>) => Effect.Effect<Ran>
  /** Starts `mcp` as the operator, to be followed, or ended half-way. */
  readonly startMcp: (...args: ReadonlyArray<string>) => Effect.Effect<Daemon, never, Scope.Scope>
  readonly define: (service: string, toml: string) => string
  readonly startMcias: Effect.Effect<Daemon, never, Scope.Scope>
  readonly startAgent: Effect.Effect<Daemon, never, Scope.Scope>
  /** Starts a second agent with a config of its own. */
  readonly agentWith: (config: string) => Effect.Effect<Daemon, never, Scope.Scope>
}

const succeed = (ran: Effect.Effect<Ran>) =>
  Effect.flatMap(ran, (done) =>
    done.code === 0 ? Effect.succeed(done) : Effect.dieMessage(`exit ${done.code}: ${done.stdout}${done.stderr}`)
  )

/** Everything but the two servers, which a test may start and end itself; on this podman. */
export const makeOn = (
  makePodman: Effect.Effect<TestPodman.Podman, never, Scope.Scope>
): Effect.Effect<Node, never, Scope.Scope> =>
  Effect.gen(function* () {
    const dir = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-e2e-"))),
      (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
    )
    const podman = yield* makePodman
    const ca = yield* Effect.promise(() => makeCa())
    const { cert, key } = yield* Effect.promise(() => issue(ca))
    const file = (name: string, text: string, mode = 0o600) => {
      const path = join(dir, name)
      mkdirSync(join(path, ".."), { recursive: true })
      writeFileSync(path, text)
      chmodSync(path, mode)
      return path
    }
    const tls = {
      ca: file("tls/ca.pem", ca.cert, 0o644),
      cert: file("tls/server.pem", cert, 0o644),
      key: file("tls/server.key", key)
    }
    const passwordFile = file("password", password)
    const mciasAddress = `127.0.0.1:${yield* freePort}`
    const agentAddress = `127.0.0.1:${yield* freePort}`
    const services = join(dir, "services")
    mkdirSync(services)
    const agentConfig = file(
      "agent/mcp-agent.toml",
      `[server]
grpc_addr = "${agentAddress}"
tls_cert = "${tls.cert}"
tls_key = "${tls.key}"
[database]
path = "${dir}/agent/mcp.db"
[mcias]
server_url = "https://${mciasAddress}"
ca_cert = "${tls.ca}"
service_name = "mcp"
[agent]
node_name = "here"
files_root = "${dir}/srv"
`
    )
    const token = join(dir, "token")
    const values: Env = { token_path: token, address: agentAddress, ca_cert: tls.ca }
    const cliConfig = (own: Env) => `[services]
dir = "${services}"
[mcias]
server_url = "https://${mciasAddress}"
ca_cert = "${tls.ca}"
service_name = "mcp"
[auth]
token_path = "${own.token_path}"
[[nodes]]
name = "here"
address = "${own.address}"
ca_cert = "${own.ca_cert}"
`
    const mciasDir = join(dir, "mcias")
    const mcias = (...args: ReadonlyArray<string>) =>
      succeed(run(join(dist, "mcp-mcias"), [...args, "--dir", mciasDir]))
    yield* mcias("init")
    for (const role of ["admin", "user", "guest"]) {
      yield* mcias("account", "add", role, "--role", role, "--password-file", passwordFile)
    }
    let configs = 0
    const withConfig = (own: Env, args: ReadonlyArray<string>) => [
      ...["--config", file(`cli-${configs++}.toml`, cliConfig({ ...values, ...own }))],
      ...args
    ]
    const mcpWith: Node["mcpWith"] = (own, ...args) => run(join(dist, "mcp"), withConfig(own, args))
    const agentWith = (config: string) =>
      start(join(dist, "mcp-agent"), ["--config", config], { PATH: `${podman.bin}:${process.env.PATH}` })
    return {
      dir,
      ca,
      podman,
      agentAddress,
      agentConfig,
      tls,
      services,
      mciasDir,
      token,
      mcp: (...args) => mcpWith({}, ...args),
      mcpWith,
      startMcp: (...args) => Effect.suspend(() => start(join(dist, "mcp"), withConfig({}, args))),
      define: (service, toml) => file(`services/${service}.toml`, toml),
      startMcias: Effect.tap(
        start(join(dist, "mcp-mcias"), [
          ...["serve", "--dir", mciasDir, "--addr", mciasAddress],
          ...["--tls-cert", tls.cert, "--tls-key", tls.key]
        ]),
        (daemon) => daemon.line("listening on")
      ),
      startAgent: Effect.tap(agentWith(agentConfig), (daemon) => daemon.line('"serving"')),
      agentWith
    }
  })

export const make = makeOn(TestPodman.make)

/** Logs `account` in and answers where its token lies. */
export const login = (node: Node, account: string): Effect.Effect<string> =>
  Effect.gen(function* () {
    const token = account === "admin" ? node.token : join(node.dir, `token-${account}`)
    const args = ["login", "--username", account, "--password-file", join(node.dir, "password")]
    yield* succeed(node.mcpWith({ token_path: token }, ...args))
    return token
  })

/** A node with both servers up and the administrator logged in, for the tests of one block. */
export class RunningNode extends Context.Tag("test/RunningNode")<RunningNode, Node>() {
  static readonly layer = Layer.scoped(
    RunningNode,
    Effect.gen(function* () {
      const node = yield* make
      yield* node.startMcias
      yield* node.startAgent
      yield* login(node, "admin")
      return node
    })
  )
}

/** Names and states of all containers: what `mcp ps` says, and what `podman ps --all` says. */
export const bothViews = (node: Node) =>
  Effect.gen(function* () {
    const { components } = JSON.parse((yield* node.mcp("ps", "--json")).stdout)
    const ours = components.map((c: { container: string; state: string }) => `${c.container} ${c.state}`)
    const listed = yield* node.podman.run("ps", "--all", "--format", "{{.Names}} {{.Status}}")
    const theirs = listed.split("\n").filter((line) => line !== "")
    return {
      ours: ours.sort() as ReadonlyArray<string>,
      theirs: theirs.map((line) => line.replace(/ Up .*/, " running").replace(/ Exited .*/, " stopped")).sort()
    }
  })

export const read = (file: string): string => readFileSync(file, "utf8")
