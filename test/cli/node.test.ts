import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { agent, mcp } from "./support.ts"

const config = `[mcias]
server_url = "https://mcias.example:8443"
[[nodes]]
name = "rift"
address = "rift.example:9444"
`
const agents = { rift: agent({}) }

describe("node add", () => {
  it.effect("writes the node into the config", () =>
    Effect.gen(function* () {
      const argv = ["node", "add", "orion", "100.64.0.2:9444", "orion.lan:9444", "--ca-cert", import.meta.filename]
      const ran = yield* mcp(argv, { config, agents })
      assert.deepStrictEqual([ran.code, ran.out], [0, "added orion to /etc/mcp.toml\nnext: mcp node list\n"])
      assert.strictEqual(
        ran.config,
        `${config}\n[[nodes]]\nname = "orion"\naddresses = [ "100.64.0.2:9444", "orion.lan:9444" ]\nca_cert = "${import.meta.filename}"\n`
      )
    })
  )

  it.effect("refuses a name that is there, and what would be no address: the config stays as it was", () =>
    Effect.gen(function* () {
      for (const [argv, why] of [
        [["rift", "rift.example:9444"], /has a node rift already\n {2}next: mcp node remove rift/],
        [["orion", "nowhere"], /nodes\[1\]\.address: /],
        [["Orion!", "a:1"], /"Orion!" is no name of a node/],
        [["--frce", "a:1"], /--frce/],
        [["orion", "a:1", "--ca-cert", "/none.pem"], /\/none\.pem.* exist/]
      ] as const) {
        const ran = yield* mcp(["node", "add", ...argv], { config, agents })
        assert.deepStrictEqual([ran.code, ran.config], [2, config])
        assert.match(ran.err, why)
      }
      const full = yield* mcp(["node", "add", "orion", "a:1"], { config, agents, unwritable: "the disk is full" })
      assert.deepStrictEqual([full.code, full.config], [1, config])
      assert.match(full.err, /the config \/etc\/mcp.toml is as it was: the disk is full/)
    })
  )
})

describe("node remove", () => {
  const definitions = { shop: 'name = "shop"\nnode = "rift"\n' }

  it.effect("takes it out, and warns of definitions that still name it", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["node", "remove", "rift"], { config, agents, definitions })
      assert.strictEqual(ran.code, 0)
      assert.strictEqual(ran.out, "removed rift from /etc/mcp.toml; what runs there goes on\n")
      assert.strictEqual(ran.err, 'warning: node = "rift" still stands in the definition of shop\n')
      assert.strictEqual(ran.config, '[mcias]\nserver_url = "https://mcias.example:8443"\n')
    })
  )

  it.effect("said twice changes nothing; a slip of the finger is told", () =>
    Effect.gen(function* () {
      const again = yield* mcp(["node", "remove", "orion"], { config, agents })
      assert.deepStrictEqual([again.code, again.config, again.out], [0, config, "the config has no node orion\n"])
      const slip = yield* mcp(["node", "remove", "rfit"], { config, agents })
      assert.deepStrictEqual([slip.code, slip.config], [2, config])
      assert.match(slip.err, /did you mean rift\?/)
    })
  )
})
