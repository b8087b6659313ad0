import { assert, it } from "@effect/vitest"
import { placeOf, unmanagedOf } from "../../src/domain/Unmanaged.ts"

const container = (containerName: string, labels: Record<string, string> = {}) => ({
  id: containerName,
  containerName,
  labels
})
const place = (name: string, services: ReadonlyArray<string>, labels?: Record<string, string>) => {
  const found = placeOf(container(name, labels), services)
  return found && `${found.service}/${found.component}`
}

it("a name belongs to the known service that it begins with, the longest one; labels come first", () => {
  assert.strictEqual(place("a-b-c", ["a", "a-b"]), "a-b/c")
  assert.strictEqual(place("a-b", ["a", "a-b"]), "a-b/a-b")
  assert.strictEqual(place("a-b-c", ["a"]), "a/b-c")
  assert.strictEqual(place("mc-proxy", []), "mc-proxy/mc-proxy")
  assert.strictEqual(place("ab", ["a"]), "ab/ab")
  assert.strictEqual(place("a-b.prev", ["a"]), "a/b")
  assert.strictEqual(place("a-", ["a"]), undefined)
  assert.strictEqual(place("Upper_Case", ["a"]), undefined)
  assert.strictEqual(place("a-b", ["a"], { "mcp.service": "x", "mcp.component": "y" }), "x/y")
  assert.strictEqual(place("a-b", ["a"], { "mcp.service": "x y", "mcp.component": "y" }), "a/b")
})

it("what no id explains is unmanaged, and a service that a label names is a known one", () => {
  const all = [
    container("shop-web", { "mcp.service": "shop", "mcp.component": "web" }),
    container("shop-extra"),
    container("mine")
  ]
  assert.deepStrictEqual(
    unmanagedOf(new Set(["mine"]), [], all).map(({ container, place }) => [container.id, place?.component]),
    [
      ["shop-web", "web"],
      ["shop-extra", "extra"]
    ]
  )
})
