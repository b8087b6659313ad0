import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { login, makeOn, type Node } from "../support/agent.ts"
import { imageRegistry } from "../support/imageRegistry.ts"
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
