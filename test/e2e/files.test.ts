import { createHash, randomBytes } from "node:crypto"
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { login, make, type Ran } from "../support/agent.ts"
import { sleepingShop } from "../support/shop.ts"

const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex")
const succeeded = (ran: Ran) => assert.strictEqual(ran.code, 0, ran.stdout + ran.stderr)

it.scopedLive("files and folders go to a service's own folder and come back as they were", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    const agent = yield* node.startAgent
    yield* login(node, "admin")
    node.define("shop", sleepingShop)
    succeeded(yield* node.mcp("deploy", "shop"))
    const root = join(node.dir, "srv/shop")
    const here = (name: string) => join(node.dir, "here", name)
    mkdirSync(here("site/css"), { recursive: true })
    mkdirSync(root, { recursive: true })
    chownSync(root, 4711, 4712)

    // A file that is new belongs to whom its folder belongs to; one that is replaced stays as it was but for its bytes.
    const big = randomBytes(5 * 1024 * 1024 + 17)
    writeFileSync(here("big"), big)
    chmodSync(here("big"), 0o4750)
    succeeded(yield* node.mcp("push", here("big"), "shop"))
    assert.strictEqual(digest(join(root, "big")), digest(here("big")))
    const first = statSync(join(root, "big"))
    assert.deepStrictEqual([first.uid, first.gid, first.mode & 0o7777], [4711, 4712, 0o750])
    chmodSync(join(root, "big"), 0o600)
    writeFileSync(here("big"), "small now")
    const replaced = yield* node.mcp("push", here("big"), "shop", "--json")
    const told = JSON.parse(replaced.stdout)
    assert.deepStrictEqual([told.files, told.bytes, told.path, told.skipped], [1, 9, "big", []])
    assert.strictEqual(readFileSync(join(root, "big"), "utf8"), "small now")
    assert.strictEqual(statSync(join(root, "big")).mode & 0o777, 0o600)
    succeeded(yield* node.mcp("push", here("big"), "shop", "deep/er/", "--mode", "0640"))
    assert.strictEqual(statSync(join(root, "deep/er/big")).mode & 0o777, 0o640)
    assert.strictEqual(statSync(join(root, "deep/er")).uid, 4711)

    // Folders, with links as links and names that are not text.
    const odd = Buffer.concat([Buffer.from(here("site/")), Buffer.from([0x6f, 0xff, 0x0a, 0x64])])
    writeFileSync(odd, "odd")
    writeFileSync(here("site/index.html"), "<p>")
    writeFileSync(here("site/css/a.css"), "")
    symlinkSync("css/a.css", here("site/style"))
    succeeded(yield* node.mcp("push", "-r", here("site"), "shop"))
    assert.strictEqual(readlinkSync(join(root, "site/style")), "css/a.css")
    assert.strictEqual(lstatSync(join(root, "site/style")).uid, 4711)
    succeeded(yield* node.mcp("pull", "-r", "shop", "site", here("back")))
    assert.deepStrictEqual(
      readdirSync(here("back"), { encoding: "buffer" }).map(String).sort(),
      readdirSync(here("site"), { encoding: "buffer" }).map(String).sort()
    )
    assert.strictEqual(readFileSync(here("back/index.html"), "utf8"), "<p>")
    assert.strictEqual(readlinkSync(here("back/style")), "css/a.css")

    // What leads out of the tree is left out, and said so.
    symlinkSync("/etc", here("site/out"))
    const left = yield* node.mcp("push", "-r", here("site"), "shop")
    assert.strictEqual(left.code, 1)
    assert.match(left.stderr, /left out: out: is a link out of the folder, to \/etc/)
    assert.isFalse(existsSync(join(root, "site/out")))

    const listing = JSON.parse((yield* node.mcp("files", "list", "shop", "site", "--json")).stdout)
    const names = listing.files.map((f: { name: string; kind: string }) => `${f.kind} ${f.name}`)
    assert.deepStrictEqual(names, ["folder css", "file index.html", "file o\\x??\\nd", "link style"])
    assert.strictEqual(listing.files[2].name_base64, Buffer.from([0x6f, 0xff, 0x0a, 0x64]).toString("base64"))

    // Removing asks, and a folder with something in it needs -r.
    assert.strictEqual((yield* node.mcp("files", "rm", "shop", "site")).code, 2)
    const full = yield* node.mcp("files", "rm", "shop", "site", "--yes")
    assert.strictEqual(full.code, 1)
    assert.match(full.stderr, /is a folder that is not empty[\s\S]*-r removes it/)
    succeeded(yield* node.mcp("files", "rm", "shop", "site", "-r", "--yes"))
    assert.isFalse(existsSync(join(root, "site")))

    // Errors say what to do, and nothing is left behind.
    for (const [args, code, text] of [
      [["push", here("big"), "shop", "../x"], 2, /holds a \.\.[\s\S]*next: /],
      [["push", here("big"), "shop", "/etc/x"], 2, /is absolute/],
      [["push", here("big"), "shop", "deep"], 1, /is a folder[\s\S]*end the path with \//],
      [["push", here("site"), "shop"], 2, /mcp push -r/],
      [["push", here("none"), "shop"], 2, /there is no .*none/],
      [["pull", "shop", "none", here("x")], 1, /there is no none[\s\S]*mcp files list/],
      [["pull", "shop", "deep", here("x")], 1, /is a folder[\s\S]*-r/],
      [["files", "list", "sohp"], 1, /no service named sohp.*did you mean shop/]
    ] as const) {
      const ran = yield* node.mcp(...args)
      assert.strictEqual(ran.code, code, `${args.join(" ")}: ${ran.stdout}${ran.stderr}`)
      assert.match(ran.stderr, text)
    }
    assert.isFalse(existsSync(here("x")))
    assert.deepStrictEqual(readdirSync(root).sort(), ["big", "deep"])
    assert.match(yield* agent.line("McpAgentService/PushFile"), /"service":"shop"/)
  })
)
