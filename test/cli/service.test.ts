import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EditorFailed } from "../../src/services/CliError.ts"
import { draftKey, mcp } from "./support.ts"

const shop = `name = "shop"
node = "rift"
active = false
[[components]]
name = "web"
image = "localhost/web:1"
`
const broken = shop.replace("image =", "imgae =")

describe("logout", () => {
  it.effect("removes the token, and says twice is once", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["logout"])
      assert.deepStrictEqual([ran.code, ran.token], [0, undefined])
      assert.strictEqual(ran.out, "logged out: the token at /home/me/token is removed\n")
      const again = yield* mcp(["logout"], { token: undefined })
      assert.deepStrictEqual([again.code, again.out], [0, "not logged in: there was no token\n"])
      assert.deepStrictEqual((yield* mcp(["logout", "--json"])).json, { token_path: "/home/me/token", removed: true })
    })
  )
})

describe("service list", () => {
  it.effect("shows every definition of the folder, broken ones beside good ones", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["service", "list"], { definitions: { shop, wiki: broken } })
      assert.strictEqual(ran.code, 0)
      assert.deepStrictEqual(ran.out.split("\n"), [
        "SERVICE  NODE  ACTIVE  COMPONENTS  DEFINITION",
        "shop     rift  no      web         valid",
        "wiki     -     -       -           3 problems",
        "mcp service check says what is wrong",
        ""
      ])
      const { definitions } = (yield* mcp(["service", "list", "--json"], { definitions: { shop } })).json as never
      assert.deepStrictEqual(definitions, [
        {
          service: "shop",
          file: "/defs/shop.toml",
          valid: true,
          problems: [],
          warnings: [],
          node: "rift",
          active: false,
          components: ["web"]
        }
      ])
    })
  )

  it.effect("of an empty folder says what to do", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* mcp(["service", "list"])).out, "no definitions in /defs; mcp service new writes one\n")
    })
  )
})

describe("service show", () => {
  it.effect("prints the file as it is, broken or not, and as JSON what it says with its defaults", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* mcp(["service", "show", "shop"], { definitions: { shop } })).out, shop)
      assert.strictEqual((yield* mcp(["service", "show", "shop"], { definitions: { shop: broken } })).out, broken)
      const { json } = yield* mcp(["service", "show", "shop", "--json"], { definitions: { shop } })
      assert.nestedPropertyVal(json, "components[0].restart", "unless-stopped")
      const missing = yield* mcp(["service", "show", "shpo"], { definitions: { shop } })
      assert.deepStrictEqual(
        [missing.code, missing.err.split("\n")[0]],
        [2, "mcp: there is no definition /defs/shpo.toml; did you mean shop?"]
      )
    })
  )
})

describe("service check", () => {
  it.effect("tells all problems of all files at once, with file, line and column", () =>
    Effect.gen(function* () {
      const good = yield* mcp(["service", "check"], { definitions: { shop } })
      assert.deepStrictEqual([good.code, good.out], [0, "shop is valid\n"])
      const wiki = broken.replace("shop", "wiki")
      const ran = yield* mcp(["service", "check"], { definitions: { shop: broken, wiki } })
      assert.strictEqual(ran.code, 2)
      assert.match(ran.err, /^\/defs\/shop.toml:6:1: components\[0\].imgae: unknown key; did you mean "image"\?$/m)
      assert.match(ran.err, /^\/defs\/wiki.toml:6:1: /m)
      assert.match(ran.err, /^mcp: 4 problems in 2 definitions$/m)
      // Only what was asked for.
      assert.strictEqual((yield* mcp(["service", "check", "shop"], { definitions: { shop, wiki } })).code, 0)
    })
  )
})

describe("service new", () => {
  it.effect("writes a definition that is valid as it stands", () =>
    Effect.gen(function* () {
      const argv = ["service", "new", "shop", "--image", "nginx:1.27", "--node", "rift", "-p", "127.0.0.1:8080:80"]
      const ran = yield* mcp(argv)
      assert.deepStrictEqual([ran.code, ran.out], [0, "wrote /defs/shop.toml\nnext: mcp deploy shop\n"])
      const checked = yield* mcp(["service", "check"], { definitions: new Map(ran.files) })
      assert.deepStrictEqual([checked.code, checked.out], [0, "shop is valid\n"])
      assert.include(ran.files.get("shop"), '\nnode = "rift"\n')
      assert.include(ran.files.get("shop"), '"127.0.0.1:8080:80"')
    })
  )

  it.effect("overwrites nothing, and writes nothing that is no good", () =>
    Effect.gen(function* () {
      const there = yield* mcp(["service", "new", "shop", "--image", "nginx:1"], { definitions: { shop } })
      assert.deepStrictEqual([there.code, there.files.get("shop")], [2, shop])
      assert.match(there.err, /there is a definition of shop already.*\n {2}next: mcp service edit shop/)
      for (const bad of [
        ["--image", "Not An Image"],
        ["--image", "nginx:1", "-p", "80"],
        ["--image", "a:1", "--node", "_"]
      ]) {
        const ran = yield* mcp(["service", "new", "shop", ...bad])
        assert.deepStrictEqual([ran.code, ran.files.size], [2, 0], bad.join(" "))
      }
    })
  )
})

describe("service edit", () => {
  const toTwo = (text: string) => text.replace("web:1", "web:2")
  const spoil = (text: string) => text.replace("image =", "imgae =")
  const mend = (text: string) => text.replace("imgae =", "image =")

  it.effect("saves what is valid, and leaves no draft", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["service", "edit", "shop"], { definitions: { shop }, edits: [toTwo] })
      assert.deepStrictEqual([ran.code, ran.out], [0, "saved /defs/shop.toml\nnext: mcp plan shop\n"])
      assert.deepStrictEqual([...ran.files], [["shop", toTwo(shop)]])
      const same = yield* mcp(["service", "edit", "shop"], { definitions: { shop }, edits: [(text) => text] })
      assert.deepStrictEqual([same.out, [...same.files]], ["nothing was changed\n", [["shop", shop]]])
    })
  )

  it.effect("shows what is wrong and opens the same text again", () =>
    Effect.gen(function* () {
      const edits = [(text: string) => spoil(toTwo(text)), mend]
      const ran = yield* mcp(["service", "edit", "shop"], { definitions: { shop }, edits, tty: true, answers: [""] })
      assert.strictEqual(ran.code, 0)
      assert.match(ran.err, /shop.toml:6:1: components\[0\].imgae: unknown key/)
      assert.deepStrictEqual([...ran.files], [["shop", toTwo(shop)]])
    })
  )

  it.effect("loses nothing when one gives up, nor where nobody can be asked: the draft is taken up later", () =>
    Effect.gen(function* () {
      for (const world of [{ tty: true, answers: ["n"] }, {}]) {
        const definitions = new Map([["shop", shop]])
        const edits = [(text: string) => spoil(toTwo(text))]
        const ran = yield* mcp(["service", "edit", "shop"], { ...world, definitions, edits })
        assert.strictEqual(ran.code, 1)
        assert.match(ran.err, /what you wrote is kept in .*\s+.*mcp service edit shop takes it up again/)
        assert.strictEqual(ran.files.get("shop"), shop)
        const later = yield* mcp(["service", "edit", "shop"], { definitions, edits: [mend] })
        assert.match(later.err, /taking up the draft of an earlier edit/)
        assert.deepStrictEqual([...later.files], [["shop", toTwo(shop)]])
      }
    })
  )

  it.effect("with an editor that fails changes nothing", () =>
    Effect.gen(function* () {
      const edits = [new EditorFailed({ editor: "ed", why: "it ended with 1" })]
      const ran = yield* mcp(["service", "edit", "shop"], { definitions: { shop }, edits })
      assert.strictEqual(ran.code, 1)
      assert.match(
        ran.err,
        /^mcp: the editor ed failed: it ended with 1; the definition is as it was\n {2}next: set VISUAL/
      )
      assert.deepStrictEqual([...ran.files], [["shop", shop]])
    })
  )

  it.effect("does not write over what somebody else changed meanwhile", () =>
    Effect.gen(function* () {
      const definitions = new Map([["shop", shop]])
      const meanwhile = shop.replace("active = false", "active = true")
      const edits = [
        (text: string) => {
          definitions.set("shop", meanwhile)
          return toTwo(text)
        }
      ]
      const ran = yield* mcp(["service", "edit", "shop"], { definitions, edits })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /was changed by somebody else meanwhile; what you wrote is kept in/)
      assert.strictEqual(ran.files.get("shop"), meanwhile)
      assert.strictEqual(ran.files.get(draftKey("shop")), toTwo(shop))
    })
  )
})
