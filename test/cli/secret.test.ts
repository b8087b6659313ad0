import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { timestampFromMs } from "@bufbuild/protobuf/wkt"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { agent, mcp, now } from "./support.ts"

const value = "hunter2"
const rift = (
  asked: Array<unknown> = [],
  reply: MessageInitShape<typeof pb.SetSecretResponseSchema> = { version: 2, changed: true }
) =>
  agent({
    setSecret: ({ name = "", service = "", value: sent = new Uint8Array() }) => {
      asked.push([service, name, Buffer.from(sent).toString()])
      return Effect.succeed(create(pb.SetSecretResponseSchema, reply))
    },
    listSecrets: () =>
      Effect.succeed(
        create(pb.ListSecretsResponseSchema, {
          secrets: [
            {
              ...{ name: "db", version: 2, actor: "ada", setAt: timestampFromMs(now.getTime()) },
              uses: [
                { component: "web", version: 2 },
                { component: "api", version: 1 }
              ]
            },
            { name: "key", uses: [{ component: "web" }] }
          ]
        })
      ),
    removeSecret: ({ name = "", service = "" }) => {
      asked.push([service, name])
      return Effect.succeed(create(pb.RemoveSecretResponseSchema, {}))
    }
  })

describe("secret set", () => {
  it.effect("asks twice on a terminal, without showing, and says how the value comes to the containers", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const uses = [{ component: "web", version: 1 }]
      const agents = { rift: rift(asked, { version: 2, changed: true, uses }) }
      const ran = yield* mcp(["secret", "set", "shop", "db"], { agents, tty: true, answers: [value, value] })
      assert.strictEqual(ran.code, 0)
      assert.deepStrictEqual(ran.questions, ["Value of db of shop: ", "Once more: "])
      assert.strictEqual(
        ran.out,
        "secret db of shop on rift is set (version 2)\nnext: mcp deploy shop brings it to web\n"
      )
      assert.deepStrictEqual(asked, [["shop", "db", value]])
      assert.notInclude(ran.out + ran.err, value)
      const slip = yield* mcp(["secret", "set", "shop", "db"], { agents, tty: true, answers: [value, "hunter3"] })
      assert.strictEqual(slip.code, 2)
      assert.include(slip.err, "the two are not the same; nothing is set")
      assert.lengthOf(asked, 1)
    })
  )

  it.effect("takes what is piped or in a file byte for byte, and tells of a newline at its end", () =>
    Effect.gen(function* () {
      const dir = mkdtempSync(join(tmpdir(), "mcp-secret-"))
      const file = join(dir, "value")
      writeFileSync(file, `${value}\n`)
      const asked: Array<unknown> = []
      const agents = { rift: rift(asked) }
      const set = (args: ReadonlyArray<string>, stdin?: string) =>
        mcp(["secret", "set", "shop", "db", ...args], { agents, ...(stdin === undefined ? {} : { stdin }) })
      const plain = yield* set([], value)
      assert.strictEqual(plain.err, "")
      assert.include(plain.out, 'next: secrets = ["db"] in a component of its definition, then mcp deploy shop')
      const told = "note: the value ends with a newline, which is part of it; --trim leaves it out\n"
      assert.strictEqual((yield* set(["--file", "-"], `${value}\r\n`)).err, told)
      assert.strictEqual((yield* set(["--file", file])).err, told)
      assert.strictEqual((yield* set(["--file", file, "--trim"])).err, "")
      yield* set(["--trim"], `${value}\r\n`)
      assert.deepStrictEqual(
        asked.map((each) => (each as ReadonlyArray<string>)[2]),
        [value, `${value}\r\n`, `${value}\n`, value, value]
      )
      rmSync(dir, { recursive: true })
      for (const wrong of [yield* set([], ""), yield* set(["--trim"], "\n"), yield* set(["--file", file])]) {
        assert.strictEqual(wrong.code, 2)
      }
      const tooLong = "longer than 524288 bytes"
      assert.include((yield* set([], "x".repeat(512 * 1024 + 1))).err, tooLong)
      // What has no end is not read to it.
      assert.include((yield* set(["--file", "/dev/zero"])).err, tooLong)
      assert.include((yield* set(["--file", "/no/such file"])).err, "next: check it: ls -l '/no/such file'")
      assert.strictEqual((yield* set(["--file", tmpdir()])).code, 2)
    })
  )

  it.effect("needs no name where the definition has one secret, and repeats nothing that may be a value", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const agents = { rift: rift(asked) }
      const shop = (secrets: string) =>
        `name = "shop"\n[[components]]\nname = "web"\nimage = "web:1"\nsecrets = [${secrets}]\n`
      const one = { agents, stdin: value, definitions: { shop: shop('"db"') } }
      assert.strictEqual((yield* mcp(["secret", "set", "shop"], one)).code, 0)
      assert.deepStrictEqual(asked, [["shop", "db", value]])
      assert.include((yield* mcp(["secret", "set", "shop", "db"], one)).out, "next: mcp deploy shop\n")
      const two = yield* mcp(["secret", "set", "shop"], { ...one, definitions: { shop: shop('"db", "key"') } })
      assert.strictEqual(two.code, 2)
      assert.include(two.err, "say which secret: db, key")
      const slip = yield* mcp(["secret", "set", "shop", "p@ss word"], one)
      assert.strictEqual(slip.code, 2)
      assert.notInclude(slip.err, "p@ss")
      const json = yield* mcp(["secret", "set", "shop", "--json"], one)
      assert.deepStrictEqual(json.json, {
        ...{ service: "shop", name: "db", node: "rift", version: 2, changed: true, used_by: [] }
      })
    })
  )
})

describe("secret list and rm", () => {
  it.effect("shows names, versions and who has which, and what is missing", () =>
    Effect.gen(function* () {
      const agents = { rift: rift() }
      const { out } = yield* mcp(["secret", "list", "shop"], { agents })
      assert.deepStrictEqual(out.split("\n").slice(0, -1), [
        "NAME  VERSION  SET AT                SET BY  USED BY",
        "db    2        2026-11-25T12:00:00Z  ada     web, api (has version 1)",
        "key   not set  -                     -       web (has none)"
      ])
      const { json } = yield* mcp(["secret", "list", "shop", "--json"], { agents })
      assert.deepInclude(json, { service: "shop", node: "rift" })
    })
  )

  it.effect("asks before it removes one", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const agents = { rift: rift(asked) }
      const no = yield* mcp(["secret", "rm", "shop", "db"], { agents, tty: true, answers: ["n"] })
      assert.notStrictEqual(no.code, 0)
      assert.strictEqual((yield* mcp(["secret", "rm", "shop", "db"], { agents })).code, 2)
      assert.deepStrictEqual(asked, [])
      assert.strictEqual((yield* mcp(["secret", "rm", "shop", "db", "--yes"], { agents })).code, 0)
      assert.deepStrictEqual(asked, [["shop", "db"]])
    })
  )
})
