import { readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort, login, make, type Node } from "../support/agent.ts"
import { image } from "../support/podman.ts"
import { component, containers, get, healthCheck, serving, until as untilGood } from "../support/shop.ts"

const until = <A>(what: Effect.Effect<A>, good: (answer: A) => boolean) =>
  Effect.timeout(untilGood(what, good), "30 seconds")

const shop = (page: string) => `name = "shop"
comment = "sells things"
${component({ name: "web", script: serving(page), keys: `depends_on = ["db"]\nrestart = "on-failure:3"\n${health}\n${route}` })}
${component({ name: "db", cmd: ["sleep", "1000"], keys: 'restart = "always"\nsettle = "50ms"\nenv = { MODE = "prod" }' })}
${component({ name: "job", cmd: ["true"], keys: 'restart = "no"\nsettle = "50ms"' })}
`
const health = healthCheck()
const route = `[[components.routes]]
port = 443
target = 8080
hostname = "shop.example"`

const ok = (node: Node, ...args: ReadonlyArray<string>) =>
  Effect.map(node.mcp(...args), (ran) => {
    assert.strictEqual(ran.code, 0, `mcp ${args.join(" ")}\n${ran.stdout}${ran.stderr}`)
    return ran
  })

/** The process that runs in each container, and since when: the same only when nobody touched it. */
const processes = (node: Node) =>
  node.podman.run("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Pid}} {{.StartedAt}}")

const routePort = (node: Node) =>
  Effect.map(ok(node, "ps", "--json"), ({ stdout }) => {
    const found = /127\.0\.0\.1:(\d+):8080/.exec(stdout)
    return Number(found?.[1])
  })

const loseTheRegistry = (node: Node) =>
  Effect.sync(() => {
    for (const name of readdirSync(join(node.dir, "agent"))) {
      if (name.startsWith("mcp.db")) rmSync(join(node.dir, "agent", name))
    }
  })

it.scopedLive("with the registry gone all is adopted, plan says unchanged, and no container was touched", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* node.startAgent
        yield* login(node, "admin")
        node.define("shop", shop("old"))
        yield* ok(node, "deploy", "shop")
      })
    )
    const before = yield* processes(node)
    yield* loseTheRegistry(node)
    yield* node.startAgent

    const refused = yield* node.mcp("deploy", "shop")
    assert.strictEqual(refused.code, 1)
    assert.match(refused.stderr, /next: mcp adopt shop/)
    const told = yield* ok(node, "adopt", "shop", "--dry-run")
    assert.match(told.stdout, /would adopt shop/)
    const adopted = yield* ok(node, "adopt", "shop")
    assert.match(adopted.stdout, /web +shop-web +running .* its label/)
    const again = yield* ok(node, "adopt", "shop")
    assert.match(again.stdout, /nothing to adopt/)

    assert.match((yield* ok(node, "plan", "--exit-code", "shop")).stdout, /unchanged|no changes/i)
    assert.strictEqual(yield* processes(node), before)
    const port = yield* routePort(node)
    assert.strictEqual(yield* get(port), "old\n")
    const status = JSON.parse((yield* ok(node, "status", "shop", "--json")).stdout).services[0]
    assert.isFalse(status.drift)
    yield* until(
      Effect.map(ok(node, "status", "shop", "--json"), ({ stdout }) => JSON.parse(stdout).services[0].components),
      (all) => all.some((c: { component: string; health: string }) => c.component === "web" && c.health === "healthy")
    )
    // Its restart policy is the agent's to carry out again.
    yield* node.podman.run("kill", "shop-db")
    yield* until(processes(node), (now) => /shop-db [1-9]/.test(now))

    node.define("shop", shop("new"))
    yield* ok(node, "deploy", "shop")
    assert.strictEqual(yield* get(yield* routePort(node)), "new\n")
    assert.lengthOf(yield* containers(node), 3)
    yield* ok(node, "rollback", "shop")
    assert.strictEqual(yield* get(yield* routePort(node)), "old\n")
    yield* ok(node, "undeploy", "shop", "--yes")
    assert.strictEqual(yield* processes(node), "")
    assert.notMatch(yield* node.podman.run("network", "ls", "--format", "{{.Name}}"), /mcp-shop/)
  })
)

it.scopedLive(
  "containers made by hand are adopted as they run; their export is a definition that changes nothing",
  () =>
    Effect.gen(function* () {
      const node = yield* make
      yield* node.startMcias
      yield* node.startAgent
      yield* login(node, "admin")
      const port = yield* freePort
      const { run } = node.podman
      yield* run("network", "create", "back")
      yield* run("volume", "create", "pages")
      yield* run(
        ...["run", "--detach", "--name", "blog", "--restart", "always", "--publish", `127.0.0.1:${port}:8080`],
        ...["--network", "back", "--volume", "pages:/pages:ro", "--memory", "64m", "--cpus", "0.5", "--user", "0:0"],
        ...[
          "--env",
          "GREETING=hello $HOME 100%",
          "--stop-timeout",
          "1",
          "--cap-add",
          "NET_ADMIN",
          "--tmpfs",
          "/scratch"
        ],
        ...[image, "sh", "-c", serving("by hand")]
      )
      yield* run("run", "--detach", "--name", "blog-worker", "--entrypoint", '["sleep", "1000"]', image)
      yield* until(
        Effect.orElseSucceed(
          Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/`)),
          () => undefined
        ),
        (answer) => answer?.status === 200
      )
      const before = yield* processes(node)

      const early = yield* node.mcp("service", "export", "blog")
      assert.match(early.stderr, /next: mcp adopt blog/)
      const adopted = yield* ok(node, "adopt", "blog")
      assert.match(adopted.stderr, /blog: no key of a definition says added capability CAP_NET_ADMIN, tmpfs \/scratch;/)
      assert.match(adopted.stderr, /blog: podman itself starts it again \(restart policy always\)/)
      assert.match((yield* ok(node, "status", "blog")).stdout, /blog: adopted; podman itself restarts it \(always\)/)

      const file = join(node.services, "blog.toml")
      yield* ok(node, "service", "export", "blog", "--output", file)
      const text = readFileSync(file, "utf8")
      for (const line of [
        `ports = ["127.0.0.1:${port}:8080"]`,
        'network = "back"',
        'user = "0:0"',
        'memory = "64m"',
        "cpus = 0.5"
      ]) {
        assert.include(text, line)
      }
      assert.include(text, 'entrypoint = ["sleep", "1000"]')
      yield* ok(node, "plan", "--exit-code", "blog")
      const twice = yield* node.mcp("service", "export", "blog", "--output", file)
      assert.match(twice.stderr, /is there already/)
      yield* ok(node, "service", "export", "blog", "--output", file, "--force")
      const units = yield* ok(
        node,
        "service",
        "export",
        "blog",
        "--format",
        "quadlet",
        "--output",
        join(node.dir, "units")
      )
      assert.match(units.stdout, /wrote .*blog\.container/)
      assert.strictEqual(yield* processes(node), before)

      // What podman restarts itself is one process afterwards, and no restart of the agent's.
      const [, pid] = /blog (\d+) /.exec(before) ?? []
      process.kill(Number(pid), "SIGKILL")
      yield* until(processes(node), (now) => /blog [1-9]/.test(now) && now !== before)
      const seen = JSON.parse((yield* ok(node, "ps", "--json")).stdout).components
      assert.strictEqual(seen.find((c: { component: string }) => c.component === "blog").restarts, 0)
      yield* ok(node, "undeploy", "blog", "--yes")
      assert.strictEqual(yield* processes(node), "")
      assert.match(yield* run("network", "ls", "--format", "{{.Name}}"), /back/)
    })
)
