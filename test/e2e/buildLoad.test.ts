import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { login, make, type Ran } from "../support/agent.ts"
import * as Podman from "../support/podman.ts"

const MIB = 1024 * 1024
const reference = (tag: string) => `registry.invalid/shop/web:${tag}`

const shop = (tag: string) => `name = "shop"
path = "shop"
[build.images]
web = "Dockerfile"
[[components]]
name = "web"
image = "${reference(tag)}"
cmd = ["sleep", "1000"]
settle = "50ms"
stop_timeout = "0s"
`

const succeeded = (ran: Ran) => assert.strictEqual(ran.code, 0, ran.stdout + ran.stderr)

/** Set for programs that are started from now on, until the scope closes. */
const environment = (values: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.keys(values).map((name) => [name, process.env[name]] as const)
      Object.assign(process.env, values)
      return before
    }),
    (before) =>
      Effect.sync(() => {
        for (const [name, value] of before) {
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
      })
  )

/** What podman has of a transfer under way. */
const staged = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.startsWith("libpod-images-load"))
    .reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0)

const until = (what: string, holds: () => boolean) =>
  Effect.sync(holds).pipe(
    Effect.repeat({ until: (is) => is }),
    Effect.timeoutFail({ duration: "60 seconds", onTimeout: () => new Error(`not within a minute: ${what}`) })
  )

it.scopedLive(
  "an image goes from the workstation to the node without an image registry, less the layers that are there",
  () =>
    Effect.gen(function* () {
      // Ahead of the podmans, whose mounts are as they were when they were made.
      const staging = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const dir = mkdtempSync(join(tmpdir(), "mcp-staging-"))
          execFileSync("mount", ["-t", "tmpfs", "-o", "size=400m", "none", dir])
          return dir
        }),
        (dir) =>
          Effect.sync(() => {
            execFileSync("umount", [dir])
            rmSync(dir, { recursive: true })
          })
      )
      const node = yield* make
      const workstation = yield* Podman.make
      const workspace = join(node.dir, "src")
      mkdirSync(join(workspace, "shop"), { recursive: true })
      const source = (name: string, content: string | Uint8Array) =>
        writeFileSync(join(workspace, "shop", name), content)
      source("Dockerfile", `FROM ${workstation.image}\nCOPY page /page\n`)
      yield* node.startMcias
      yield* environment({
        PATH: `${workstation.bin}:${process.env.PATH}`,
        MCP_BUILD_WORKSPACE: workspace
      })
      const startAgent = Effect.gen(function* () {
        const inStaging = yield* Scope.make()
        yield* Scope.extend(environment({ TMPDIR: staging }), inStaging)
        const agent = yield* node.startAgent
        yield* Scope.close(inStaging, Exit.void)
        return agent
      })
      const agent = yield* startAgent
      yield* login(node, "admin")
      const someStaged = until("some of the image has come", () => staged(staging) > 3 * MIB)
      const nothingStaged = until("podman's staging folder is empty", () => readdirSync(staging).length === 0)
      const load = (...more: ReadonlyArray<string>) => node.mcp("build", "shop", "--load", "--json", ...more)
      const loaded = (ran: Ran) => {
        succeeded(ran)
        return JSON.parse(ran.stdout).images[0].loaded
      }
      const page = Effect.map(node.mcp("exec", "shop", "--", "cat", "/page"), ({ stdout }) => stdout)

      node.define("shop", shop("v1"))
      source("page", "one")
      const first = loaded(yield* load())
      assert.deepInclude(first, { node: "here", layers: 2, sent_layers: 2, was_there: false })
      succeeded(yield* node.mcp("deploy", "shop"))
      assert.strictEqual(yield* page, "one")
      const running = yield* node.podman.run("inspect", "shop-web", "--format", "{{.Image}}")
      assert.strictEqual(running, first.image_id)

      // Only what changed is sent, and the same again not at all.
      node.define("shop", shop("v2"))
      source("page", "two")
      const second = loaded(yield* load())
      assert.deepInclude(second, { layers: 2, sent_layers: 1, was_there: false })
      assert.isBelow(second.sent_bytes, 10_000)
      const again = yield* node.mcp("build", "shop", "--load")
      succeeded(again)
      assert.match(again.stdout, /registry\.invalid\/shop\/web:v2: here had this very image already/)
      succeeded(yield* node.mcp("deploy", "shop"))
      assert.strictEqual(yield* page, "two")

      // No image registry has it: said, and what runs goes on.
      const pulled = yield* node.mcp("deploy", "shop", "--pull")
      assert.strictEqual(pulled.code, 1)
      assert.match(pulled.stderr, /next: deploy without --pull/)
      assert.strictEqual(yield* page, "two")

      // Killed half-way, on either side: no half image, and nothing is left lying about.
      node.define("shop", shop("v3"))
      source("page", randomBytes(48 * MIB))
      const images = Effect.map(node.podman.run("images", "--all", "--quiet"), (text) => text.split("\n").sort())
      const before = yield* images
      const cutCli = yield* node.startMcp("build", "shop", "--load")
      yield* someStaged
      yield* cutCli.signal("SIGKILL")
      yield* cutCli.ended
      yield* nothingStaged
      assert.deepStrictEqual(yield* images, before)

      const cutAgent = yield* node.startMcp("build", "shop", "--load")
      yield* someStaged
      yield* agent.signal("SIGKILL")
      yield* agent.ended
      assert.strictEqual(yield* cutAgent.ended, 1)
      assert.match(cutAgent.log(), /failed on here[\s\S]*next: /)
      yield* nothingStaged
      yield* startAgent
      assert.deepStrictEqual(yield* images, before)

      // A disk that is full, found before or while it comes.
      const filler = join(staging, "filler")
      const leave = (bytes: number) => {
        rmSync(filler, { force: true })
        const { bavail, bsize } = statfsSync(staging)
        execFileSync("fallocate", ["-l", String(bavail * bsize - bytes), filler])
      }
      leave(100 * MIB)
      const early = yield* node.mcp("build", "shop", "--load")
      assert.strictEqual(early.code, 1)
      assert.match(
        early.stderr,
        /the disk of the node is full: 100 MiB are free at .*staging.* loading the image wants/
      )
      rmSync(filler)
      const late = yield* node.startMcp("build", "shop", "--load")
      yield* someStaged
      leave(40 * MIB)
      assert.strictEqual(yield* late.ended, 1)
      assert.match(late.log(), /cannot load \S+: the disk of the node is full[\s\S]*next: free space on the node/)
      assert.deepStrictEqual(readdirSync(staging), ["filler"])
      assert.deepStrictEqual(yield* images, before)
      rmSync(filler)

      // Two at once, of the same image.
      const both = yield* Effect.all([load(), load()], { concurrency: 2 })
      for (const one of both) assert.strictEqual(loaded(one).image_id, loaded(both[0]).image_id)
      assert.deepStrictEqual(readdirSync(staging), [])
    })
)
