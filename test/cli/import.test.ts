import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mcp, type World } from "./support.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-compose-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
)

const text = `name: shop
services:
  web:
    image: nginx:\${TAG}
    restart: always
    labels: { a: b }
    volumes: [./pages:/pages]
`

const definition = `#:schema ./.definition.schema.json
# Imported from compose.yaml.
name = "shop"
active = true

[[components]]
name = "web"
image = "nginx:1"
restart = "always"
volumes = ["/srv/shop/pages:/pages"]
`

const make = Effect.map(folder, (dir) => {
  const file = join(dir, "compose.yaml")
  writeFileSync(file, text)
  return {
    ...{ dir, file },
    run: (words: ReadonlyArray<string>, world: World = {}) =>
      mcp(["service", "import", file, ...words], { env: { TAG: "1" }, ...world })
  }
})

describe("service import", () => {
  it.scoped("writes the definition, lists what is otherwise with its place, and says how to go on", () =>
    Effect.gen(function* () {
      const { file, run } = yield* make
      const ran = yield* run([])
      assert.deepStrictEqual([ran.code, [...ran.files]], [0, [["shop", definition]]])
      assert.strictEqual(
        ran.out,
        "wrote /defs/shop.toml: component web\n1 left out, 1 changed, 0 to look at: each is told above\nnext: mcp plan shop\n"
      )
      assert.strictEqual(
        ran.err,
        `${file}:6:5: services.web.labels: left out: there are no labels of one's own\n` +
          `${file}:7:15: services.web.volumes[0]: changed: ./pages is /srv/shop/pages on the node; it is not here, and starts as an empty folder\n`
      )
      const quiet = yield* run(["--quiet"])
      assert.deepStrictEqual([quiet.out, quiet.err.split("\n").length], ["", 2])
      const { json } = yield* run(["--json"])
      assert.deepInclude(json as never, { service: "shop", file: "/defs/shop.toml", components: ["web"] } as never)
      assert.deepStrictEqual((json as never as { items: ReadonlyArray<unknown> }).items[0], {
        ...{ file, line: 6, column: 5, key: "services.web.labels", outcome: "left_out" },
        message: "there are no labels of one's own"
      })
    })
  )

  it.scoped("writes over nothing without --force, nor anything with --dry-run", () =>
    Effect.gen(function* () {
      const { dir, run } = yield* make
      const definitions = { shop: "old" }
      const refused = yield* run([], { definitions })
      assert.deepStrictEqual([refused.code, [...refused.files]], [2, [["shop", "old"]]])
      assert.match(refused.err, /there is a definition of shop already.*\n.*next: --force writes over it/)
      assert.deepStrictEqual([...(yield* run(["--force"], { definitions })).files], [["shop", definition]])
      const dry = yield* run(["--dry-run"], { definitions })
      assert.deepStrictEqual([dry.code, dry.out, [...dry.files]], [0, definition, [["shop", "old"]]])
      const output = join(dir, "out.toml")
      const elsewhere = yield* run(["--output", output, "--name", "other"])
      assert.deepStrictEqual([elsewhere.code, [...elsewhere.files]], [0, []])
      assert.include(readFileSync(output, "utf8"), 'name = "other"')
      assert.strictEqual((yield* run(["--output", output])).code, 1)
      assert.include(readFileSync(output, "utf8"), 'name = "other"')
      assert.strictEqual((yield* run(["--output", output, "--force"])).code, 0)
      assert.strictEqual(readFileSync(output, "utf8"), definition)
      assert.strictEqual((yield* run(["--output", output, "--dry-run"])).code, 2)
    })
  )

  it.scoped("tells what is wrong with the compose file with its place, and writes nothing", () =>
    Effect.gen(function* () {
      const { dir, file, run } = yield* make
      const missing = yield* run([], { env: {} })
      assert.deepStrictEqual([missing.code, [...missing.files]], [2, []])
      assert.match(missing.err, /compose.yaml:4:12: components\[0\].image: expected an image reference/)
      assert.match(missing.err, /mcp: 1 problem in .*compose.yaml; nothing was written/)
      for (const path of [dir, join(dir, "none.yaml"), "/dev/zero"]) {
        const ran = yield* mcp(["service", "import", path])
        assert.deepStrictEqual([ran.code, [...ran.files]], [2, []])
        assert.match(ran.err, /there is no file|it is a folder|it is no file/)
      }
      assert.strictEqual((yield* run(["--name", "No Name"])).code, 2)
      assert.strictEqual((yield* mcp(["service", "import"])).code, 2)
      writeFileSync(file, text.replace("image:", "imgae:"))
      const output = join(dir, "never.toml")
      assert.strictEqual((yield* run(["--output", output])).code, 2)
      assert.isFalse(existsSync(output))
    })
  )

  it.scoped("refuses container names that another definition has", () =>
    Effect.gen(function* () {
      const { run } = yield* make
      const other = `name = "shop-web"\n[[components]]\nname = "shop-web"\nimage = "a:1"\n`
      const ran = yield* run([], { definitions: { "shop-web": other } })
      assert.deepStrictEqual([ran.code, [...ran.files.keys()]], [2, ["shop-web"]])
      assert.match(ran.err, /its container would be shop-web/)
    })
  )
})
