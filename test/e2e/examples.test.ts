import { cpSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { parse } from "smol-toml"
import { freePort, type Node, RunningNode, run } from "../support/agent.ts"
import { build, type Program } from "../support/debianImage.ts"

const examples = join(import.meta.dirname, "../../examples")

const images: ReadonlyArray<Program> = [
  { reference: "docker.io/library/caddy:2.6", programs: ["caddy"] },
  { reference: "docker.io/library/redis:7", programs: ["redis-server", "redis-cli"], folders: ["data"] },
  {
    reference: "docker.io/library/registry:2",
    programs: ["docker-registry"],
    files: {
      "etc/docker/registry/config.yml":
        'version: 0.1\nstorage: { filesystem: { rootdirectory: /var/lib/registry } }\nhttp: { addr: ":5000" }\n'
    },
    config: ['CMD ["docker-registry", "serve", "/etc/docker/registry/config.yml"]']
  },
  {
    reference: "docker.io/prom/node-exporter:v1.5.0",
    programs: ["prometheus-node-exporter"],
    config: ['ENTRYPOINT ["prometheus-node-exporter"]']
  },
  {
    reference: "docker.io/prom/prometheus:v2.42.0",
    programs: ["prometheus"],
    folders: ["prometheus"],
    config: ['ENTRYPOINT ["prometheus"]']
  },
  {
    reference: "docker.io/library/eclipse-mosquitto:2.0",
    programs: ["mosquitto"],
    config: ['CMD ["mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]']
  }
]

/** Its folder on the node as the README says, and its host port a free one; answers where that is. */
const deploy = (node: Node, service: string) =>
  Effect.gen(function* () {
    const folder = join(examples, service)
    for (const entry of readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
      cpSync(join(folder, entry.name), join(node.dir, "srv", service, entry.name), { recursive: true })
    }
    const text = readFileSync(join(folder, `${service}.toml`), "utf8")
    const port = yield* freePort
    const here = text
      .replaceAll('"/srv/', `"${node.dir}/srv/`)
      .replaceAll(/ports = \["(?:127\.0\.0\.1:)?\d+:(\d+)"\]/g, `ports = ["127.0.0.1:${port}:$1"]`)
    node.define(service, here)
    const deployed = yield* node.mcp("deploy", service)
    assert.strictEqual(deployed.code, 0, deployed.stderr)
    const { components } = JSON.parse((yield* node.mcp("ps", "--json")).stdout)
    const own = components.filter((component: { service: string }) => component.service === service)
    assert.strictEqual(own.length, (parse(text).components as ReadonlyArray<unknown>).length)
    for (const { component, state } of own) assert.strictEqual(state, "running", component)
    return `127.0.0.1:${port}`
  })

const get = (url: string) => Effect.promise(async () => (await fetch(url)).text())
const exec = (node: Node, ...argv: ReadonlyArray<string>) => node.podman.run("exec", ...argv)

layer(RunningNode.layer, { excludeTestServices: true, timeout: "3 minutes" })("the examples", (it) => {
  it.effect("are deployed as they stand, and serve what they are for", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      yield* Effect.forEach(images, (image) => build(node.podman, image), { concurrency: 2 })

      const site = yield* deploy(node, "site")
      assert.include(yield* get(`http://${site}/`), "Served by MCP")

      yield* deploy(node, "cache")
      yield* exec(node, "cache-redis", "redis-cli", "set", "greeting", "hello")
      assert.strictEqual((yield* node.mcp("restart", "cache")).code, 0)
      assert.strictEqual((yield* exec(node, "cache-redis", "redis-cli", "get", "greeting")).trim(), "hello")

      const registry = yield* deploy(node, "registry")
      yield* node.podman.run("push", "-q", "--tls-verify=false", node.podman.image, `${registry}/busybox:1`)
      assert.include(yield* get(`http://${registry}/v2/_catalog`), '"busybox"')

      const metrics = yield* deploy(node, "metrics")
      const health = yield* get(`http://${metrics}/api/v1/targets`).pipe(
        Effect.map((text) => JSON.parse(text).data.activeTargets[0]?.health),
        Effect.repeat({ until: (seen) => seen === "up" }),
        Effect.timeout("30 seconds")
      )
      assert.strictEqual(health, "up")

      const messages = yield* deploy(node, "messages")
      const at = ["-h", "127.0.0.1", "-p", messages.split(":")[1] ?? "", "-t", "rooms/kitchen"]
      assert.strictEqual((yield* run("mosquitto_pub", [...at, "-r", "-m", "21 degrees"])).code, 0)
      assert.strictEqual((yield* run("mosquitto_sub", [...at, "-C", "1", "-W", "10"])).stdout, "21 degrees\n")

      const status = yield* node.mcp("status", "--exit-code")
      assert.strictEqual(status.code, 0, status.stdout)
    })
  )
})

describe("each example", () => {
  it("is in the README", () => {
    const readme = readFileSync(join(examples, "README.md"), "utf8")
    const services = readdirSync(examples, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() && entry.name !== "demo" ? [entry.name] : []
    )
    assert.strictEqual(services.length, 5)
    for (const service of services) assert.include(readme, `[${service}](${service}/${service}.toml)`)
  })
})
