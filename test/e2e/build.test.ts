import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { freePort, login, make, type Node, type Ran, read, run } from "../support/agent.ts"
import { authFile, lockedRegistry, registryPassword } from "../support/imageRegistry.ts"
import { image as busybox } from "../support/podman.ts"
import { component, get, told, until } from "../support/shop.ts"

const wrong = "other-word"

/** Dockerfile and page of the shop's sources. */
const sources = (node: Node) => {
  const folder = join(node.dir, "src/shop")
  mkdirSync(folder, { recursive: true })
  return (page: string) => {
    writeFileSync(join(folder, "index.html"), page)
    writeFileSync(
      join(folder, "Dockerfile"),
      `FROM ${busybox}\nCOPY index.html /www/\nRUN echo of the step\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n`
    )
  }
}

/** A `podman` that notes its words before it does them. */
const noting = (node: Node) => {
  const bin = join(node.dir, "bin")
  const notes = join(node.dir, "podman-words")
  mkdirSync(bin)
  writeFileSync(notes, "")
  writeFileSync(join(bin, "podman"), `#!/bin/sh\necho "$@" >> '${notes}'\nexec '${node.podman.command}' "$@"\n`, {
    mode: 0o755
  })
  return { bin, words: () => readFileSync(notes, "utf8") }
}

const images = (ran: Ran): ReadonlyArray<{ reference: string; result: string; digest: string | null }> =>
  JSON.parse(ran.stdout).images

const recordedDigest = (node: Node) => {
  const database = new Database(join(node.dir, "agent/mcp.db"), { readonly: true })
  const row = database.prepare("SELECT image_digest FROM deployment_steps ORDER BY rowid DESC LIMIT 1").get()
  database.close()
  return (row as { image_digest: string } | undefined)?.image_digest
}

it.scopedLive(
  "an image is built, pushed with the operator's credentials, skipped then, and deployed by its digest",
  () =>
    Effect.gen(function* () {
      const node = yield* make
      const registry = yield* lockedRegistry(node)
      const { address } = registry
      const write = sources(node)
      const podman = noting(node)
      process.env.PATH = `${podman.bin}:${process.env.PATH}`
      process.env.MCP_BUILD_WORKSPACE = join(node.dir, "src")
      process.env.REGISTRY_AUTH_FILE = authFile(node, "other.example", "none.json", wrong)
      const good = authFile(node, address, "auth.json", registryPassword)
      const port = yield* freePort
      const define = (tag: string, dockerfile = "Dockerfile") =>
        node.define(
          "shop",
          `name = "shop"\npath = "shop"\n[build.images]\nweb = "${dockerfile}"\n${component({
            image: `${address}/team/web:${tag}`,
            port,
            keys: 'settle = "100ms"'
          }).replace(/^cmd = .*\n/m, "")}`
        )
      write("one")
      define("1")

      const refused = yield* node.mcp("build", "shop", "--push")
      told(refused, new RegExp(`refuses ${address}/team/web:1: .*unauthorized`), new RegExp(`podman login ${address}`))
      assert.notMatch(podman.words(), /^build /m)
      // Credentials may be for the push alone, so it is tried with them.
      process.env.REGISTRY_AUTH_FILE = authFile(node, address, "wrong.json", wrong)
      const denied = yield* node.mcp("build", "shop", "--push")
      told(denied, new RegExp(`refuses ${address}/team/web:1: .*unauthorized`), new RegExp(`podman login ${address}`))
      assert.match(denied.stderr, /^warning: built without knowing/m)
      assert.match(denied.stdout, /team\/web:1 +failed +-$/m)

      process.env.REGISTRY_AUTH_FILE = good
      const pushed = yield* node.mcp("build", "shop", "--push", "--json")
      assert.strictEqual(pushed.code, 0, pushed.stderr)
      const [first] = images(pushed)
      assert.strictEqual(first?.result, "pushed")
      assert.match(first?.digest ?? "", /^sha256:[0-9a-f]{64}$/)
      assert.match(pushed.stderr, /^web {2}STEP 3\/4: RUN echo of the step$/m)
      // Other sources under a tag that is there: only --force would bring them.
      write("two")
      const again = yield* node.mcp("build", "shop", "--push")
      assert.strictEqual(again.code, 0, again.stderr)
      assert.match(again.stdout, new RegExp(`^${address}/team/web:1 +skipped +-$`, "m"))
      assert.strictEqual(again.stderr, "")

      // The node gets it from the image registry, and with credentials of its own.
      yield* node.podman.run("rmi", `${address}/team/web:1`)
      delete process.env.REGISTRY_AUTH_FILE
      const agentConfig = join(node.dir, "agent/with-credentials.toml")
      writeFileSync(agentConfig, `${read(node.agentConfig)}[runtime]\nauth_file = "${good}"\n`)
      yield* node.startMcias
      yield* Effect.tap(node.agentWith(agentConfig), (daemon) => daemon.line('"serving"'))
      yield* login(node, "admin")
      const deployed = yield* node.mcp("deploy", "shop")
      assert.strictEqual(deployed.code, 0, deployed.stderr)
      assert.match(deployed.stderr, /^web {2}pull {2}/m)
      assert.strictEqual(recordedDigest(node), `${address}/team/web@${first?.digest}`)
      assert.strictEqual(yield* until(get(port), (page) => page !== ""), "one")

      process.env.REGISTRY_AUTH_FILE = good
      define("2")
      const next = yield* node.mcp("build", "shop", "--push", "--json")
      assert.deepStrictEqual(
        images(next).map(({ reference, result }) => [reference, result]),
        [[`${address}/team/web:2`, "pushed"]]
      )
      assert.notStrictEqual(images(next)[0]?.digest, first?.digest)
      assert.strictEqual((yield* node.mcp("deploy", "shop")).code, 0)
      assert.strictEqual(yield* until(get(port), (page) => page !== ""), "two")

      yield* registry.daemon.stop
      define("3")
      told(
        yield* node.mcp("build", "shop", "--push"),
        new RegExp(`cannot reach the image registry ${address}: .*connection refused`),
        /check that it is up/
      )
      const local = yield* node.mcp("build", "shop")
      assert.strictEqual(local.code, 0, local.stderr)
      assert.match(local.stderr, /^warning: built without knowing whether .* cannot reach the image registry/m)
      assert.match(local.stdout, /web:3 +built +-$/m)

      // A build that is broken off leaves neither its command nor its container.
      const sleep = `sleep 1${port}`
      writeFileSync(join(node.dir, "src/shop/Dockerfile.slow"), `FROM ${busybox}\nRUN ${sleep}\n`)
      define("4", "Dockerfile.slow")
      const slow = yield* node.startMcp("build", "shop")
      const sleeping = Effect.map(run("pgrep", ["-f", `^${sleep}$`]), ({ stdout }) => stdout)
      yield* until(sleeping, (pids) => pids !== "")
      yield* slow.signal("SIGINT")
      assert.strictEqual(yield* slow.ended, 130)
      assert.strictEqual(yield* sleeping, "")
      const external = yield* node.podman.run("ps", "--all", "--external", "--format", "{{.Names}}")
      assert.strictEqual(external, "shop-web")

      const seen = [refused, denied, pushed, again, deployed, next, local]
        .map(({ stderr, stdout }) => stdout + stderr)
        .join()
      for (const secret of [wrong, registryPassword]) assert.notInclude(seen + podman.words() + slow.log(), secret)
    })
)
