import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { coverage } from "../../src/domain/Coverage.ts"
import { glob } from "../../src/domain/Glob.ts"

describe("a pattern", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]> = [
    ["*.tmp", ["a.tmp", ".tmp"], ["a.tmp2", "a/b.tmp", "tmp"]],
    ["a?c", ["abc", "a\u00e9c", "a\u{1f600}c"], ["ac", "a/c", "abbc"]],
    ["cache/**", ["cache/a", "cache/a/b"], ["cache", "xcache/a"]],
    ["**/cache", ["cache", "a/cache", "a/b/cache"], ["acache", "a/cachex", "/cache"]],
    ["a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/b/c"]],
    ["[a-c]x", ["ax", "cx"], ["dx", "x", "[a-c]x"]],
    ["[!a-c]x", ["dx"], ["ax", "/x"]],
    ["[]]", ["]"], ["[]"]],
    ["[a", ["[a"], ["a"]],
    ["a\\*", ["a*"], ["ab"]],
    ["**", ["a", "a/b", ""], []],
    ["", [""], ["a"]]
  ]
  for (const [pattern, fit, others] of cases) {
    it(`${pattern || "of nothing"} fits what it says`, () => {
      for (const text of fit) assert.isTrue(glob(pattern)(text), text)
      for (const text of others) assert.isFalse(glob(pattern)(text), text)
    })
  }

  it("without * ? [ and \\ fits itself alone", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        fc.pre(!/[*?[\\]/.test(one))
        assert.isTrue(glob(one)(one))
        assert.strictEqual(glob(one)(other), one === other)
      })
    )
  })

  it("answers as the regular expression of the same meaning", () => {
    const meanings: Record<string, string> = { "**/": "([^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]" }
    const piece = fc.constantFrom("a", "b", "/", "*", "?", "**", "**/")
    const text = fc.array(fc.constantFrom("a", "b", "/")).map((chars) => chars.join(""))
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), text, (pieces, path) => {
        const pattern = pieces.join("")
        fc.pre(!/\*{3}/.test(pattern))
        const regex = pattern.replace(/(?<=^|\/)\*\*\/|\*\*|\*|\?/g, (found) => meanings[found] ?? "")
        assert.strictEqual(glob(pattern)(path), new RegExp(`^${regex}$`, "s").test(path), `${pattern} on ${path}`)
      }),
      { numRuns: 3_000 }
    )
  })

  it("of many stars takes no more time than their number", () => {
    assert.isFalse(glob(`${"*a".repeat(200)}b`)("a".repeat(5_000)))
  })
})

describe("what an archive covers", () => {
  it("known: *.toml, *.db and *.pem at any depth", () => {
    const { holds } = coverage({ covers: "known", excludes: [] })
    for (const path of ["a.toml", "a/b/c.db", "tls/key.pem"]) assert.isTrue(holds(path), path)
    for (const path of ["a.txt", "toml", "db/x", "a.toml.bak"]) assert.isFalse(holds(path), path)
  })

  it("excludes by base name, by path below the root, and with all that lies in a folder", () => {
    const { holds } = coverage({ covers: "all", excludes: ["*.tmp", "/data/cache/", "logs/**", "[0-9]"] })
    for (const path of ["a", "data/x", "x/data/cache/f", "logs", "a/12"]) assert.isTrue(holds(path), path)
    for (const path of ["a.tmp", "x/a.tmp", "x.tmp/a", "data/cache", "data/cache/f", "logs/a/b", "a/1/b"]) {
      assert.isFalse(holds(path), path)
    }
  })
})
