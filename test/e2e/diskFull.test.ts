import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort, login, makeOn, type Node, start } from "../support/agent.ts"
import { image, makeWith } from "../support/podman.ts"

const mib = 1024 ** 2

const definition = (reference: string) => `name = "shop"
[[components]]
name = "web"
image = "${reference}"
cmd = ["sleep", "1000"]
settle = "100ms"
stop_timeout = "0s"
`

/** An image registry on loopback, which podman is told to speak plain HTTP with. */
const imageRegistry = (node: Node) =>
  Effect.gen(function* () {
    const address = `127.0.0.1:${yield* freePort}`
    const config = join(node.dir, "registry.yml")
    const storage = { filesystem: { rootdirectory: join(node.dir, "registry") } }
    writeFileSync(config, JSON.stringify({ version: 0.1, storage, http: { addr: address } }))
    yield* Effect.tap(start("docker-registry", ["serve", config]), (daemon) => daemon.line("listening on"))
    return address
  })

/** Fills podman's disk until so much is left. */
const leave = (node: Node, bytes: number) =>
  Effect.sync(() => {
    const filler = join(node.podman.dir, "root/filler")
    if (existsSync(filler)) rmSync(filler)
    const { bavail, bsize } = statfsSync(join(node.podman.dir, "root"))
    execFileSync("fallocate", ["-l", String(bavail * bsize - bytes), filler])
  })

it.scopedLive("a full disk, found before or while pulling, is named, and the old version goes on", () =>
  Effect.gen(function* () {
    const node = yield* makeOn(makeWith({ storage: "400m" }))
    const address = yield* imageRegistry(node)
    const conf = join(node.dir, "registries.conf")
    writeFileSync(conf, `[[registry]]\nlocation = "${address}"\ninsecure = true\n`)
    process.env.CONTAINERS_REGISTRIES_CONF = conf
    const large = `${address}/shop/large:2`
    // Random, so that nothing makes it smaller on its way.
    const blob = join(node.dir, "blob")
    writeFileSync(blob, randomBytes(72 * mib))
    execFileSync("tar", ["-C", node.dir, "-cf", join(node.dir, "blob.tar"), "blob"])
    yield* node.podman.run("import", "--quiet", join(node.dir, "blob.tar"), large)
    yield* node.podman.run("push", "--quiet", "--tls-verify=false", large)
    yield* node.podman.run("rmi", large)

    yield* node.startMcias
    yield* node.startAgent
    yield* login(node, "admin")
    node.define("shop", definition(image))
    assert.strictEqual((yield* node.mcp("deploy", "shop")).code, 0)
    const before = yield* node.podman.run("ps", "--quiet", "--no-trunc")

    node.define("shop", definition(large))
    yield* leave(node, 66 * mib)
    const pulling = yield* node.mcp("deploy", "shop")
    assert.strictEqual(pulling.code, 1, pulling.stdout)
    assert.match(pulling.stderr, new RegExp(`cannot pull ${large}: the disk of the node is full`))
    assert.match(pulling.stderr, /^ +next: free space on the node/m)

    yield* leave(node, 20 * mib)
    const early = yield* node.mcp("deploy", "shop")
    assert.strictEqual(early.code, 1, early.stdout)
    assert.match(early.stderr, /the disk of the node is full: \d+ MiB are free at .*, and a deployment wants 64 MiB/)
    assert.strictEqual(yield* node.podman.run("ps", "--all", "--quiet", "--no-trunc"), before)

    // What needs no space still works.
    node.define("shop", definition(image))
    assert.strictEqual((yield* node.mcp("deploy", "shop")).code, 0)
    assert.strictEqual(yield* node.podman.run("ps", "--all", "--quiet", "--no-trunc"), before)
  })
)
