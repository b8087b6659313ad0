import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Either, FastCheck as fc, Schema } from "effect"
import { parse, stringify } from "smol-toml"
import { withActive } from "../../src/domain/activeLine.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import { formatProblem } from "../../src/domain/Toml.ts"

const setActive = (text: string, active: boolean) => Either.getOrElse(withActive(text, active), () => text)

describe("setting active in a definition", () => {
  it.each([
    ["active = true\n", "active = false\n"],
    [
      "# top\nname = 'a'   # why\n  active   =  true # keep me\n",
      "# top\nname = 'a'   # why\n  active   =  false # keep me\n"
    ],
    ['name = "a"\r\nactive = true\r\n', 'name = "a"\r\nactive = false\r\n'],
    ['"active" = true', '"active" = false'],
    [
      'name = "a" # n\n\n[[components]]\nactive = true\n',
      'name = "a" # n\nactive = false\n\n[[components]]\nactive = true\n'
    ],
    ['name = "a"\r\n[x]\r\n', 'name = "a"\r\nactive = false\r\n[x]\r\n'],
    ['name = "a"', 'name = "a"\nactive = false\n'],
    ["[x]\nactive = true\n", "active = false\n[x]\nactive = true\n"],
    ['\uFEFFname = "a"\nactive = true\n', '\uFEFFname = "a"\nactive = false\n']
  ])("%j", (before, after) => {
    assert.strictEqual(setActive(before, false), after)
  })

  it("leaves a text that says so already as it is", () => {
    const text = "active = false   # as it was\n"
    assert.strictEqual(setActive(text, false), text)
    assert.strictEqual(setActive('name = "a"\n', true), 'name = "a"\n')
  })

  it.each([
    ["[active]\nx = 1\n", "f.toml:1:1: active: could not be set to false"],
    ['name = "a"\nactive.x = 1\n', ": active: could not be set to false"],
    ['name = "a\n', "f.toml:1:10: not TOML"]
  ])("writes nothing into %j", (text, problem) => {
    const refused = Either.getOrThrow(Either.flip(withActive(text, false, "f.toml")))
    assert.include(formatProblem(refused), problem)
    assert.strictEqual(setActive(text, false), text)
  })

  it("changes nothing but the value, whatever the definition", () => {
    const comments = fc.array(fc.constantFrom("# a comment", "", "#x = 1"))
    fc.assert(
      fc.property(Arbitrary.make(ServiceSpec), comments, fc.boolean(), (spec, extra, active) => {
        const text = `${extra.join("\n")}\n${stringify(Schema.encodeSync(ServiceSpec)(spec))}`
        const edited = setActive(text, active)
        assert.deepStrictEqual(parse(edited), { ...parse(text), active })
        const other = (line: string) => !line.startsWith("active = ")
        assert.deepStrictEqual(edited.split("\n").filter(other), text.split("\n").filter(other))
      })
    )
  })
})
