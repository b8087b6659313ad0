import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { bothViews, freePort, RunningNode, read, run } from "../support/agent.ts"
import { image } from "../support/podman.ts"

const definition = (port: number, page: string, component = "") => `# The shop, with a comment to keep.
name = "shop"
active = true   # stop and start edit this

[[components]]
name = "web"
image = "${image}"
ports = ["127.0.0.1:${port}:8080"]
cmd = ["sh", "-c", "echo ${page} > /tmp/index.html; echo serving ${page}; exec httpd -f -p 8080 -h /tmp"]
stop_timeout = "1s"
${component}
[components.health]
http = "/"
port = 8080
interval = "100ms"
retries = 3
start_period = "1s"

[[components]]
name = "worker"
image = "${image}"
depends_on = ["web"]
settle = "200ms"
stop_timeout = "1s"
cmd = ["sh", "-c", "echo visited; wget -q -O - http://web:8080/; exec sleep 1000"]
`

const get = (port: number) =>
  Effect.promise(() => fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()))

layer(RunningNode.layer, { excludeTestServices: true, timeout: "120 seconds" })("a service's life", (it) => {
  let port = 0

  it.effect("a deploy brings up both components, in order, and they answer", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      port = yield* freePort
      node.define("shop", definition(port, "one"))
      const deployed = yield* node.mcp("deploy", "shop")
      assert.strictEqual(deployed.code, 0, deployed.stderr)
      assert.strictEqual(yield* get(port), "one\n")
      const { ours, theirs } = yield* bothViews(node)
      assert.deepStrictEqual(ours, ["shop-web running", "shop-worker running"])
      assert.deepStrictEqual(theirs, ours)
    })
  )

  it.effect("a second deploy changes nothing", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const before = yield* node.podman.run("ps", "--quiet", "--no-trunc")
      const { code, stdout } = yield* node.mcp("deploy", "shop", "--json")
      assert.strictEqual(code, 0)
      const { components } = JSON.parse(stdout).services[0]
      assert.deepStrictEqual(
        components.map((c: { action: string }) => c.action),
        ["unchanged", "unchanged"]
      )
      assert.strictEqual(yield* node.podman.run("ps", "--quiet", "--no-trunc"), before)
    })
  )

  it.effect("a new version replaces one component and leaves the other", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const worker = yield* node.podman.run("inspect", "--format", "{{.Id}}", "shop-worker")
      node.define("shop", definition(port, "two"))
      const planned = yield* node.mcp("plan", "shop", "--exit-code")
      assert.strictEqual(planned.code, 3)
      const deployed = yield* node.mcp("deploy", "shop")
      assert.strictEqual(deployed.code, 0, deployed.stderr)
      assert.strictEqual(yield* get(port), "two\n")
      assert.strictEqual(yield* node.podman.run("inspect", "--format", "{{.Id}}", "shop-worker"), worker)
      assert.strictEqual((yield* node.mcp("plan", "shop", "--exit-code")).code, 0)
    })
  )

  it.effect("a version that does not become ready fails, says why, and the one before answers again", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const web = yield* node.podman.run("inspect", "--format", "{{.Id}}", "shop-web")
      node.define("shop", definition(port, "three").replace('http = "/"', 'http = "/absent"'))
      const deployed = yield* node.mcp("deploy", "shop")
      assert.strictEqual(deployed.code, 1)
      assert.include(deployed.stderr, "HTTP 404")
      assert.include(deployed.stderr, "serving three")
      assert.strictEqual(yield* get(port), "two\n")
      assert.strictEqual(yield* node.podman.run("inspect", "--format", "{{.Id}}", "shop-web"), web)
      const { ours, theirs } = yield* bothViews(node)
      assert.deepStrictEqual(theirs, ours)
      node.define("shop", definition(port, "two"))
    })
  )

  it.effect("logs come from all components, each line with its name", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const { code, stdout } = yield* node.mcp("logs", "shop")
      assert.strictEqual(code, 0)
      assert.match(stdout, /^web +\| serving two$/m)
      assert.match(stdout, /^worker +\| visited$/m)
    })
  )

  it.effect("stop and start edit the active line and leave the rest of the file as it was", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const file = `${node.services}/shop.toml`
      const before = read(file)
      assert.strictEqual((yield* node.mcp("stop", "shop")).code, 0)
      assert.strictEqual(read(file), before.replace("active = true ", "active = false "))
      const stopped = yield* bothViews(node)
      assert.deepStrictEqual(stopped.ours, ["shop-web stopped", "shop-worker stopped"])
      assert.deepStrictEqual(stopped.theirs, stopped.ours)
      assert.strictEqual((yield* node.mcp("start", "shop")).code, 0)
      assert.strictEqual(read(file), before)
      assert.strictEqual(yield* get(port), "two\n")
      assert.strictEqual((yield* node.mcp("restart", "shop/web")).code, 0)
      assert.strictEqual(yield* get(port), "two\n")
    })
  )

  it.effect("what a component names is told when it is absent", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const { code, stderr } = yield* node.mcp("logs", "shop/wbe")
      assert.notStrictEqual(code, 0)
      assert.include(stderr, "wbe")
      assert.include(stderr, "web")
    })
  )

  it.effect("an image that nobody has is one line and a next step, and nothing is changed", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      node.define("absent", `name = "absent"\n[[components]]\nname = "web"\nimage = "127.0.0.1:1/nobody/absent:1"\n`)
      const { code, stderr } = yield* node.mcp("deploy", "absent")
      assert.strictEqual(code, 1)
      assert.match(stderr, /^mcp: deploy absent failed on here: .*absent:1.*$/m)
      assert.match(stderr, /^ +next: /m)
      const { ours, theirs } = yield* bothViews(node)
      assert.deepStrictEqual(theirs, ours)
    })
  )

  it.effect("a client in another language calls the agent over TLS with a token", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const client = new URL("client.sh", import.meta.url).pathname
      const ran = yield* run(client, [node.dir, node.agentAddress, node.tls.ca, node.token])
      assert.strictEqual(ran.code, 0, ran.stderr)
      assert.deepStrictEqual(JSON.parse(ran.stdout), {
        health: "serving",
        services: { shop: ["web", "worker"] },
        without_token: "UNAUTHENTICATED"
      })
    })
  )

  it.effect("undeploy removes containers and network and marks the definition", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      assert.strictEqual((yield* node.mcp("undeploy", "shop", "--yes")).code, 0)
      assert.include(read(`${node.services}/shop.toml`), "active = false")
      assert.strictEqual(yield* node.podman.run("ps", "--all", "--quiet"), "")
      assert.notInclude(yield* node.podman.run("network", "ls", "--format", "{{.Name}}"), "mcp-shop")
    })
  )
})
