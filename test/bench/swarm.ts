import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Cause, Effect, type Scope } from "effect"
import { run } from "../support/agent.ts"
import { composeFile } from "./compose.ts"
import { type Peer, timed } from "./harness.ts"
import { image, must, type Site } from "./site.ts"

// Debian's: another docker on the PATH may not speak to this daemon.
const docker = "/usr/bin/docker"
const daemon = "/usr/sbin/dockerd"
const cgroup = "mcp-bench"

/** What this machine lets a root have at most; dockerd's own defaults may be above that. */
const limits = () =>
  [
    ["nofile", "Max open files"],
    ["nproc", "Max processes"]
  ].flatMap(([kind, title]) => {
    const line = readFileSync("/proc/self/limits", "utf8")
      .split("\n")
      .find((text) => text.startsWith(title ?? ""))
    const hard = /(\d+) +\w+ *$/.exec(line ?? "")?.[1]
    return hard === undefined ? [] : ["--default-ulimit", `${kind}=${hard}:${hard}`]
  })

/** Asks every 10 ms; dies after a minute. */
const until = <E>(what: Effect.Effect<boolean, E>) =>
  Effect.repeat(Effect.delay(what, "10 millis"), { until: (done) => done }).pipe(
    Effect.orDie,
    Effect.timeoutFailCause({
      duration: "1 minute",
      onTimeout: () => Cause.die(new Error("docker did not get there within a minute"))
    })
  )

interface Daemon {
  readonly dir: string
  /** Runs docker's client on it. */
  readonly call: (...words: ReadonlyArray<string>) => Effect.Effect<string>
}

/**
 * A Docker daemon with everything of its own: folders, socket, and namespaces for mounts and network, so that its bridges
 * and firewall rules go when it goes. It is never the machine's daemon, and it ends when this process ends.
 */
const startDaemon: Effect.Effect<Daemon, never, Scope.Scope> = Effect.gen(function* () {
  if (!existsSync(daemon) || !existsSync(docker)) yield* Effect.dieMessage("docker.io is not installed")
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-docker-"))),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true, maxRetries: 20 }))
  )
  const log = join(dir, "log")
  const options = [
    ...["--data-root", join(dir, "data"), "--exec-root", join(dir, "exec"), "--pidfile", join(dir, "pid")],
    ...["-H", `unix://${dir}/s`, "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", cgroup],
    ...limits()
  ]
  const start = `busybox ip link set lo up; exec setpriv --pdeathsig TERM "$@"`
  const args = ["--net", "--mount", "--propagation", "private", "sh", "-c", start, "sh", daemon, ...options]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const output = openSync(log, "w")
      return spawn("unshare", args, { stdio: ["ignore", output, output] })
    }),
    (child) =>
      Effect.promise(async () => {
        if (child.exitCode === null && child.signalCode === null) {
          child.kill("SIGTERM")
          await once(child, "exit")
        }
        execFileSync("find", ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", `*/${cgroup}*`, "-delete"])
      })
  )
  const call = (...words: ReadonlyArray<string>) =>
    Effect.map(must(run(docker, ["-H", `unix://${dir}/s`, ...words])), ({ stdout }) => stdout.trim())
  yield* until(
    Effect.suspend(() =>
      child.exitCode === null
        ? Effect.isSuccess(get(join(dir, "s"), "/version"))
        : Effect.dieMessage(`dockerd did not start: ${readFileSync(log, "utf8").slice(-300)}`)
    )
  )
  return { dir, call }
})

interface Task {
  readonly Status: { readonly State: string }
}

const get = (socketPath: string, path: string) =>
  Effect.async<unknown, Error>((resume) => {
    const asked = request({ socketPath, path }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (chunk) => {
        body += chunk
      })
      response.on("end", () => resume(Effect.try({ try: () => JSON.parse(body), catch: (error) => error as Error })))
    })
    asked.on("error", (error) => resume(Effect.fail(error))).end()
  })

/** `docker stack deploy`, until all tasks run. */
export const deploy = ({ node }: Site, count: number, target: number): Peer => {
  const name = "docker stack deploy"
  const make = Effect.gen(function* () {
    const { call, dir } = yield* startDaemon
    const archive = join(dir, "image.tar")
    yield* node.podman.run("save", "--quiet", "--format", "docker-archive", "--output", archive, image)
    yield* call("load", "--quiet", "--input", archive)
    yield* call("swarm", "init", "--advertise-addr", "127.0.0.1", "--task-history-limit", "0")
    const file = composeFile(dir, count, image)
    const ask = (path: string, good: (found: ReadonlyArray<Task>) => boolean) =>
      until(Effect.map(get(join(dir, "s"), path), (found) => good(found as ReadonlyArray<Task>)))
    const up = Effect.zipRight(
      call("stack", "deploy", "--resolve-image", "never", "--compose-file", file, "bench"),
      ask("/tasks", (tasks) => tasks.filter(({ Status }) => Status.State === "running").length === count)
    )
    const labelled = encodeURIComponent(JSON.stringify({ label: ["com.docker.stack.namespace=bench"] }))
    const down = Effect.all([
      call("stack", "rm", "bench"),
      ask("/tasks", (tasks) => tasks.length === 0),
      ask(`/networks?filters=${labelled}`, (networks) => networks.length === 0),
      call("container", "prune", "--force")
    ])
    return { name, sample: Effect.zipLeft(timed(up), down) }
  })
  return { name, target, make }
}
