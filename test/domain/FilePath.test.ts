import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import { shown, splitPath, staysInside } from "../../src/domain/FilePath.ts"

const split = (path: string) =>
  Either.match(splitPath(Buffer.from(path)), {
    onLeft: (why) => why,
    onRight: (parts) => parts.map((part) => Buffer.from(part).toString())
  })

describe("a path below a service's folder", () => {
  it("is its parts; empty ones and dots add nothing", () => {
    assert.deepStrictEqual(split("a/b c/d"), ["a", "b c", "d"])
    assert.deepStrictEqual(split("./a//b/./"), ["a", "b"])
    assert.deepStrictEqual(split(""), [])
    assert.deepStrictEqual(split("..a/b../..."), ["..a", "b..", "..."])
    assert.deepStrictEqual(split("a/.mcp-partial"), ["a", ".mcp-partial"])
  })

  it("that could lead out, or that no folder could hold, is refused with the reason", () => {
    assert.match(split("a/../b") as string, /holds a \.\./)
    assert.match(split("..") as string, /holds a \.\./)
    assert.match(split("/etc") as string, /is absolute/)
    assert.match(split("a\\b") as string, /backslash/)
    assert.match(split("a\0b") as string, /NUL/)
    assert.match(split(`a/${"n".repeat(256)}`) as string, /255 bytes/)
    assert.match(split("a/".repeat(257)) as string, /256 parts/)
    assert.match(split("./.mcp-partial/x") as string, /transfers under way/)
  })

  it("is shown on one line, without what a terminal would obey", () => {
    assert.strictEqual(shown(Buffer.from("a\nb\u001b[2Jc\u202ed")), "a\\nb\\u001b[2Jc\\u202ed")
    assert.strictEqual(shown(Buffer.from([0x61, 0xff])), "a\\x??")
  })
})

it("a link stays inside when it climbs first, and no further than the root", () => {
  const inside = (depth: number, target: string) => staysInside(depth, Buffer.from(target))
  assert.isTrue(inside(0, "a/b"))
  assert.isTrue(inside(2, "../../a"))
  assert.isTrue(inside(1, ".././a"))
  for (const target of ["../a", "/a", "a/../b", ".", "", "a\0"].filter((one) => one !== ".")) {
    assert.isFalse(inside(0, target), target)
  }
  assert.isFalse(inside(2, "../../../a"))
  // `a` may itself be a link, and then .. is not where it seems.
  assert.isFalse(inside(2, "a/../../b"))
})
