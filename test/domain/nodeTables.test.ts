import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { parse } from "smol-toml"
import { type NodeTable, withNode, withoutNode } from "../../src/domain/nodeTables.ts"

const config = `# mine
[services]
dir = "svc" # here

# upstairs
[[nodes]]
name = "rift"
address = "127.0.0.1:2"   # its address

[[nodes]]
name = "orion"
addresses = ["10.0.0.1:1", "10.0.0.2:1"]

[auth]
token_path = "token"
`
const iris: NodeTable = { name: "iris", addresses: ["10.0.0.3:9444"], caCert: "/etc/ca.pem", arch: undefined }
const added = (text: string, node: NodeTable) => Either.getOrThrow(withNode("mcp.toml", text, node))
const removed = (text: string, name: string) => Either.getOrThrow(withoutNode("mcp.toml", text, name))

describe("a node in the config's text", () => {
  it("is added at the end; nothing else changes", () => {
    assert.strictEqual(
      added(config, iris),
      `${config}\n[[nodes]]\nname = "iris"\naddress = "10.0.0.3:9444"\nca_cert = "/etc/ca.pem"\n`
    )
    assert.strictEqual(added("", iris).split("\n")[0], "[[nodes]]")
  })

  it("is removed with the comment right above it; nothing else changes", () => {
    assert.strictEqual(removed(config, "rift"), config.replace(/# upstairs\n(.+\n)+\n/, ""))
    assert.strictEqual(removed(config, "orion"), config.replace(/\[\[nodes\]\]\nname = "orion"\n.*\n\n/, ""))
    assert.strictEqual(removed(config, "nobody"), undefined)
  })

  it("is left to its owner where the nodes are written as one array", () => {
    const inline = 'nodes = [{ name = "rift", address = "127.0.0.1:2" }]\n'
    for (const result of [withNode("", inline, iris), withoutNode("", inline, "rift")]) {
      assert.deepStrictEqual(
        Either.flip(result).pipe(Either.getOrThrow),
        "its [[nodes]] are written in a way that can only be edited by hand"
      )
    }
  })

  it("added and removed again leaves the config saying what it said", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
    const nodes = fc.uniqueArray(
      fc.record({
        name,
        addresses: fc.array(fc.string(), { minLength: 1, maxLength: 3 }) as fc.Arbitrary<[string, ...Array<string>]>,
        caCert: fc.option(fc.string(), { nil: undefined }),
        arch: fc.constantFrom(undefined, "amd64")
      }),
      { selector: (node) => node.name, maxLength: 5 }
    )
    fc.assert(
      fc.property(nodes, fc.nat(), (nodes, pick) => {
        const text = nodes.reduce(added, config.replaceAll(/"(rift|orion)"/g, '"first-$1"'))
        const node = nodes[pick % Math.max(1, nodes.length)]
        if (node === undefined) return
        const left = nodes.filter((each) => each !== node)
        assert.deepStrictEqual(
          parse(removed(text, node.name) ?? ""),
          parse(left.reduce(added, config.replaceAll(/"(rift|orion)"/g, '"first-$1"')))
        )
      })
    )
  })
})
