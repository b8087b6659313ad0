import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Daemon, login, make, type Node, type Ran } from "../support/agent.ts"
import { image } from "../support/podman.ts"

// Agents of one machine share the folder: no other test has a service of this name.
const service = `vault-${process.pid}`
const root = `/run/mcp/secrets/${service}`
const first = `canary-one-${process.pid}-${Math.random().toString(36).slice(2)}`
const second = `canary-two-${process.pid}-${Math.random().toString(36).slice(2)}`

const definition = `name = "${service}"
[[components]]
name = "web"
image = "${image}"
cmd = ["sh", "-c", "head -c 200 /run/secrets/db-password >/dev/null || exit 9; exec sleep 1000"]
secrets = ["db-password", "api.key"]
user = "1234:1234"
settle = "50ms"
stop_timeout = "0s"
`

/** Every place in which a program may have written what it was given. */
const places = (
  node: Node,
  outputs: ReadonlyArray<string>,
  daemons: ReadonlyArray<Daemon>,
  values: ReadonlyArray<string> = [first, second]
) => {
  const found: Array<string> = []
  const look = (where: string, bytes: Buffer) => {
    // As it is, and as the columns and messages that encode bytes would have it.
    for (const value of values) {
      const forms = [value, Buffer.from(value).toString("hex"), Buffer.from(value).toString("base64").slice(0, -4)]
      if (forms.some((form) => bytes.includes(form))) found.push(where)
    }
  }
  let files = 0
  const walk = (path: string) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const at = join(path, entry.name)
      // The name of a mount namespace, and no file.
      if (at === join(node.podman.dir, "ns")) continue
      if (entry.isDirectory()) walk(at)
      else if (entry.isFile() && statSync(at).size < 50_000_000) {
        files += 1
        look(at, readFileSync(at))
      }
    }
  }
  walk(node.dir)
  walk(node.podman.dir)
  for (const output of outputs) look("an output", Buffer.from(output))
  for (const daemon of daemons) look("an agent's log", Buffer.from(daemon.log()))
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    for (const file of ["cmdline", "environ"]) {
      try {
        look(`/proc/${pid}/${file}`, readFileSync(`/proc/${pid}/${file}`))
      } catch {
        // It has ended.
      }
    }
  }
  return { found, files }
}

it.scopedLive(
  "a secret reaches its containers, by each version, and is nowhere else",
  () =>
    Effect.gen(function* () {
      const node = yield* make
      const outputs: Array<string> = []
      const daemons: Array<Daemon> = []
      const mcp = (...args: ReadonlyArray<string>) =>
        Effect.tap(node.mcp(...args), ({ stderr, stdout }: Ran) => void outputs.push(stdout, stderr))
      const good = (...args: ReadonlyArray<string>) =>
        Effect.map(mcp(...args), (ran) => {
          assert.strictEqual(ran.code, 0, `${args.join(" ")}: ${ran.stdout}${ran.stderr}`)
          return ran.stdout
        })
      const startAgent = Effect.tap(node.startAgent, (daemon) => void daemons.push(daemon))
      const fileOf = (value: string) => {
        // Not below the node's folder, which is searched.
        const file = `/tmp/mcp-secret-${process.pid}`
        writeFileSync(file, value, { mode: 0o600 })
        return file
      }
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          rmSync(`/tmp/mcp-secret-${process.pid}`, { force: true })
          rmSync(root, { recursive: true, force: true })
        })
      )
      const setTo = (value: string) => good("secret", "set", service, "db-password", "--file", fileOf(value))
      const has = Effect.map(
        Effect.all([
          node.podman.run("exec", `${service}-web`, "cat", "/run/secrets/db-password"),
          node.podman.run("exec", `${service}-web`, "cat", "/run/secrets/api.key")
        ]),
        ([password, key]) => `${password} ${key}`
      )
      yield* node.startMcias
      const agent = yield* startAgent
      yield* login(node, "admin")
      node.define(service, definition)

      const refused = yield* mcp("deploy", service)
      assert.strictEqual(refused.code, 1)
      for (const secret of ["db-password", "api.key"])
        assert.include(refused.stderr, `mcp secret set ${service} ${secret}`)
      assert.include(yield* good("plan", service), `${service}`)

      assert.include(yield* setTo(first), "is set (version 1)")
      yield* good("secret", "set", service, "api.key", "--file", fileOf("k"))
      yield* good("deploy", service)
      assert.strictEqual(yield* has, `${first} k`)
      const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8)
      for (const folder of ["", "/web", "/web/1"]) assert.strictEqual(mode(root + folder), "700")
      assert.strictEqual(mode(`${root}/web/1/db-password`), "444")
      assert.strictEqual(execFileSync("stat", ["-f", "-c", "%T", root]).toString().trim(), "tmpfs")
      const wrote = yield* Effect.either(
        Effect.tryPromise(() =>
          Effect.runPromise(
            node.podman.run("exec", "--user", "0", `${service}-web`, "sh", "-c", "echo >/run/secrets/api.key")
          )
        )
      )
      assert.strictEqual(wrote._tag, "Left", "the mount is read-only")
      assert.include(yield* good("deploy", service), "unchanged")

      assert.include(yield* setTo(second), `mcp deploy ${service} brings it to web`)
      assert.strictEqual(yield* has, `${first} k`)
      assert.include(yield* good("plan", service), "secret db-password changed")
      assert.include(yield* good("secret", "list", service), "web (has version 1)")
      yield* good("deploy", service)
      assert.strictEqual(yield* has, `${second} k`)
      assert.deepStrictEqual(readdirSync(`${root}/web`), ["2"])

      yield* good("rollback", service)
      assert.strictEqual(yield* has, `${first} k`)
      assert.deepStrictEqual(readdirSync(`${root}/web`), ["3"])

      // As after a reboot: the containers stopped, and nothing in memory.
      yield* agent.stop
      yield* node.podman.run("stop", "-t", "0", `${service}-web`)
      rmSync(root, { recursive: true })
      yield* startAgent
      const back = Effect.map(node.podman.run("ps", "--format", "{{.Names}}"), (names) =>
        names.includes(`${service}-web`)
      )
      yield* back.pipe(Effect.repeat({ until: (up) => up }), Effect.timeout("30 seconds"))
      assert.strictEqual(yield* has, `${first} k`)

      const removing = yield* mcp("secret", "rm", service, "db-password", "--yes")
      assert.strictEqual(removing.code, 1)
      assert.include(removing.stderr, "is used by web")
      for (const look of [["status", service], ["ps"], ["events"], ["why", service], ["history", service]])
        yield* mcp(...look)
      outputs.push(yield* node.podman.run("inspect", `${service}-web`))
      outputs.push(yield* node.podman.run("logs", `${service}-web`))
      const during = places(node, outputs, daemons)
      assert.deepStrictEqual(during.found, [])
      assert.isAbove(during.files, 20)
      // What is known to be written is found: in the registry, podman's storage, the outputs, the log, an environment.
      const found = places(node, outputs, daemons, [service, node.agentConfig]).found.map((at) =>
        at.replace(/\d+/g, "N")
      )
      for (const place of [
        `${node.dir}/agent/mcp.db`.replace(/\d+/g, "N"),
        "an output",
        "an agent's log",
        "/proc/N/cmdline"
      ]) {
        assert.isTrue(
          found.some((at) => at.startsWith(place)),
          place
        )
      }
      assert.strictEqual(statSync(`${node.dir}/agent/secrets.key`).mode & 0o777, 0o600)

      yield* good("undeploy", service, "--yes")
      assert.isFalse(existsSync(root), "the files are gone")
      yield* good("secret", "rm", service, "db-password", "--yes")
      assert.notInclude(yield* good("secret", "list", service), "db-password")
      assert.deepStrictEqual(places(node, outputs, daemons).found, [])
    }),
  120_000
)
