import { mkdirSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import type { WhyComponent } from "../../src/cli/json.ts"
import { freePort, type Node, type Ran, RunningNode } from "../support/agent.ts"
import { image } from "../support/podman.ts"
import { until } from "../support/shop.ts"

interface Component {
  readonly name?: string
  /** What its shell runs; `cmd` takes its place. */
  readonly script?: string
  readonly cmd?: ReadonlyArray<string>
  readonly image?: string
  /** More lines of the definition. */
  readonly keys?: string
}

const service = (name: string, ...components: ReadonlyArray<Component>) =>
  `name = "${name}"\n${components
    .map(
      (c) => `[[components]]
name = "${c.name ?? "web"}"
image = "${c.image ?? image}"
cmd = ${JSON.stringify(c.cmd ?? ["sh", "-c", c.script ?? "exec sleep 1000"])}
${/^ports/m.test(c.keys ?? "") ? "" : 'network = "none"'}
settle = "50ms"
stop_timeout = "0s"
${c.keys ?? ""}`
    )
    .join("\n")}`

const deployed = (node: Node, name: string, ...components: ReadonlyArray<Component>) =>
  Effect.gen(function* () {
    node.define(name, service(name, ...components))
    const ran = yield* node.mcp("deploy", name)
    assert.strictEqual(ran.code, 0, ran.stderr)
  })

const explained = (node: Node, target: string) =>
  Effect.map(node.mcp("why", target, "--json"), (ran) => {
    assert.strictEqual(ran.code, 0, ran.stderr)
    return JSON.parse(ran.stdout).components as ReadonlyArray<WhyComponent>
  })

/** Asks until the only component has this cause; what else was said then. */
const told = (node: Node, target: string, cause: string) =>
  until(explained(node, target), ([only]) => only?.cause === cause).pipe(
    Effect.timeoutFail({ duration: "20 seconds", onTimeout: () => `${target} never was ${cause}` }),
    Effect.tapError(() => Effect.flatMap(node.mcp("why", target), (ran) => Effect.log(ran.stdout + ran.stderr))),
    Effect.orDie,
    Effect.map(([only]) => {
      if (only === undefined) throw new Error("nothing was explained")
      return only
    })
  )

const has = (said: WhyComponent, kind: string, text: RegExp) =>
  assert.isTrue(
    said.timeline.some((entry) => entry.kind === kind && text.test(entry.text)),
    JSON.stringify(said.timeline, null, 1)
  )

/** Another program of the node takes this port as soon as it is free. */
const listening = (port: number) =>
  Effect.acquireRelease(
    Effect.async<Server, Error>((resume) => {
      const server = createServer()
      server.once("error", (error) => resume(Effect.fail(error)))
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }).pipe(Effect.retry(Schedule.spaced("20 millis")), Effect.timeout("20 seconds"), Effect.orDie),
    (server) => Effect.promise(() => new Promise<void>((done) => server.close(() => done())))
  )

const show = (ran: Ran) =>
  Effect.sync(() => process.env.MCP_SHOW && process.stdout.write(`\n${ran.stdout}${ran.stderr}`))

const parallel = { concurrency: 3 } as const

layer(RunningNode.layer, { excludeTestServices: true, timeout: "120 seconds" })("mcp why names the cause of", (it) => {
  it.effect("a program that ends again and again, with its last lines, and a kill for memory", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      yield* Effect.all(
        [
          deployed(node, "crash", {
            script: "printf 'no database ' >&2; sleep 0.1; echo at db:5432 >&2; sleep 0.2; exit 3"
          }),
          deployed(node, "hungry", { script: "sleep 0.5; exec tail /dev/zero", keys: 'memory = "16m"' })
        ],
        parallel
      )
      const hungry = yield* told(node, "hungry", "oom_killed")
      assert.match(hungry.summary, /more memory than its limit/)
      assert.match(hungry.next_step ?? "", /raise memory in the definition \(now 16m\)/)
      yield* show(yield* node.mcp("why", "hungry"))
      const ends = (said: WhyComponent) => /again and again/.test(said.summary)
      const said = yield* until(told(node, "crash", "exited_3"), ends)
      assert.match(
        said.summary,
        /^it ends again and again, last \d+s ago: it ended with exit code 3; the agent (starts|started|is about)/
      )
      assert.match(said.next_step ?? "", /read its last lines below/)
      has(said, "log", /no database at db:5432/)
      has(said, "restarted", /started again: it ended with exit code 3/)
      has(said, "deploy", /succeeded/)
      yield* show(yield* node.mcp("why", "crash"))
      yield* node.mcp("stop", "crash")
      const stopped = yield* told(node, "crash", "stopped_by_operator")
      assert.match(stopped.summary, /^admin stopped it \d+s ago$/)
      yield* show(yield* node.mcp("why", "crash"))
    })
  )

  it.scoped("failing health checks: a refused one and one with a wrong status, beside a component that is well", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const [a, b, c] = [yield* freePort, yield* freePort, yield* freePort]
      const health = (port: number) =>
        `ports = ["127.0.0.1:${port}:8080"]\n[components.health]\nhttp = "/"\nport = 8080\ninterval = "100ms"\nretries = 3`
      const serve = "echo ok > /tmp/index.html; httpd -f -p 8080 -h /tmp & sleep 1.5; kill $!; wait $!"
      const answer = "HTTP/1.1 503 Busy\\r\\nConnection: close\\r\\n\\r\\n<h1>database is down</h1>\\n"
      const busy = `while :; do printf '${answer}' | nc -l -p 8080 >/dev/null; done`
      const on = (name: string, script: string, port: number) => ({ name, script, keys: health(port) })
      node.define(
        "sick",
        service(
          "sick",
          on("fine", "echo ok > /tmp/index.html; exec httpd -f -p 8080 -h /tmp", a),
          on("gone", `${serve}; exec sleep 1000`, b),
          on("busy", `${serve}; ${busy}`, c)
        )
      )
      const ran = yield* node.mcp("deploy", "sick")
      assert.strictEqual(ran.code, 0, ran.stderr)
      const gone = yield* told(node, "sick/gone", "probe_refused")
      assert.match(gone.summary, /its health check has failed for \d+s: connection refused/)
      const status = yield* told(node, "sick/busy", "probe_status_503")
      assert.match(status.summary, /HTTP 503: database is down$/)
      has(status, "probe", /HTTP 200/)
      has(status, "probe", /failed: HTTP 503: database is down/)
      const all = yield* node.mcp("why", "sick")
      yield* show(all)
      assert.match(all.stdout, /^sick\/fine on here: running: it has run for .* and is healthy/m)
    })
  )

  it.scoped("what cannot start: an image, a command, a port, a volume", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const failed = (name: string, component: Component) =>
        Effect.gen(function* () {
          node.define(name, service(name, component))
          assert.strictEqual((yield* node.mcp("deploy", name)).code, 1)
        })
      const denied = join(node.dir, "srv/denied/data")
      mkdirSync(denied, { recursive: true })
      const port = yield* freePort
      const ports = `ports = ["127.0.0.1:${port}:8080"]`
      yield* Effect.all(
        [
          failed("pull", { image: "127.0.0.1:1/absent:1" }),
          failed("typo", { cmd: ["/usr/bin/serev", "--all"] }),
          failed("text", { cmd: ["/etc"] }),
          failed("denied", {
            script: "echo x > /data/file",
            keys: `user = "1000:1000"\nvolumes = ["${denied}:/data"]`
          })
        ],
        parallel
      )
      const pull = yield* told(node, "pull", "image_missing")
      assert.match(
        pull.summary,
        /^nothing of it runs: the deploy by admin \d+s ago was refused: cannot pull 127\.0\.0\.1:1/
      )
      const typo = yield* told(node, "typo", "command_missing")
      assert.match(typo.summary, /there is no command \/usr\/bin\/serev in the container/)
      const text = yield* told(node, "text", "command_not_executable")
      assert.match(text.next_step ?? "", /correct cmd or entrypoint .*; then mcp deploy text$/)
      const volume = yield* told(node, "denied", "volume_permission")
      assert.match(volume.summary, /Permission denied.*user 1000:1000 cannot write .* \(owned by 0:0, mode 755\)/)
      assert.include(volume.next_step ?? "", `on the node: chown 1000:1000 ${denied}`)
      has(volume, "log", /Permission denied/)
      for (const name of ["pull", "typo", "text", "denied"]) yield* show(yield* node.mcp("why", name))

      yield* deployed(node, "taken", { keys: ports })
      assert.strictEqual((yield* node.mcp("stop", "taken")).code, 0)
      yield* listening(port)
      assert.strictEqual((yield* node.mcp("start", "taken")).code, 1)
      // The agent tries it too, since it should run.
      const both = (said: WhyComponent) =>
        ["start", "restarted"].every((kind) => said.timeline.some((e) => e.kind === kind))
      const taken = yield* until(told(node, "taken", "port_taken"), both)
      const inUse = `cannot start taken-web: the port 127.0.0.1:${port} is in use on the node`
      assert.include(taken.summary, inUse)
      has(taken, "start", new RegExp(`^failed: ${inUse}$`))
      assert.strictEqual(taken.timeline.find(({ kind }) => kind === "start")?.actor, "admin")
      has(taken, "restarted", new RegExp(`^did not start again: ${inUse}$`))
      yield* show(yield* node.mcp("why", "taken"))
    })
  )

  it.effect("what was done by hand: removed, with its image, and stopped", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const own = "localhost/mcp-test/own:1"
      const imported = [
        "import",
        "--quiet",
        "-c",
        "ENV PATH=/bin",
        "-m",
        "own",
        join(node.podman.dir, "rootfs.tar"),
        own
      ]
      yield* node.podman.run(...imported)
      yield* Effect.all(
        [
          deployed(node, "hand", { image: own }),
          deployed(node, "halted", { script: "trap 'exit 143' TERM; sleep 1000 & wait" })
        ],
        parallel
      )
      yield* node.podman.run("rm", "--force", "--time", "0", "hand-web")
      const removed = yield* told(node, "hand", "removed_by_hand")
      assert.match(removed.summary, /hand-web is gone, and no act of MCP removed it/)
      assert.match(removed.next_step ?? "", /^mcp start hand makes it again/)
      yield* show(yield* node.mcp("why", "hand"))
      yield* node.podman.run("rmi", own)
      assert.strictEqual((yield* node.mcp("start", "hand")).code, 1)
      const imageless = yield* told(node, "hand", "image_missing")
      assert.match(
        imageless.summary,
        /^it did not start when admin asked for it .*: the image \S+ is not on this node$/
      )
      yield* show(yield* node.mcp("why", "hand"))
      yield* node.podman.run("stop", "--time", "3", "halted-web")
      const halted = yield* told(node, "halted", "stopped_by_hand_perhaps")
      assert.match(halted.summary, /exit code 143 \(SIGTERM\), by no act of MCP: perhaps it was stopped by hand/)
      yield* show(yield* node.mcp("why", "halted"))
    })
  )
})
