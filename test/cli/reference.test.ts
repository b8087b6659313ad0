import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Ajv } from "ajv"
import { Arbitrary, FastCheck as fc, Schema } from "effect"
import { parse } from "smol-toml"
import { outputs, withoutJson } from "../../src/cli/outputs.ts"
import { pages } from "../../src/cli/referencePages.ts"
import { paths } from "../../src/cli/root.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"

const root = join(import.meta.dirname, "../..")
const made = pages()
const ajv = new Ajv({ strict: false })
// Years of more than four digits too, which fast-check likes.
ajv.addFormat("date-time", (text) => /T.*Z$/.test(text) && !Number.isNaN(Date.parse(text)))
const validator = (path: string) => ajv.compile(JSON.parse(made.get(path) ?? ""))

describe("what make schemas writes", () => {
  it("is current: the published schemas and pages are those of this program, and there are no others", () => {
    const files = ["schemas", "schemas/output", "docs/reference"].flatMap((dir) =>
      readdirSync(join(root, dir), { withFileTypes: true }).flatMap((entry) =>
        entry.isFile() ? [`${dir}/${entry.name}`] : []
      )
    )
    assert.sameMembers(files, [...made.keys()])
    for (const [path, text] of made) assert.strictEqual(readFileSync(join(root, path), "utf8"), text, path)
  })

  it("has the output of every command", () => {
    const commands = [...paths].flatMap(([first, second]) =>
      second.length === 0 ? [first] : second.map((word) => `${first} ${word}`)
    )
    assert.sameMembers(
      Object.keys(outputs).filter((name) => !name.includes(" --")),
      commands.filter((name) => !withoutJson.has(name))
    )
  })

  it("has links that lead somewhere", () => {
    for (const [path, text] of [...made].filter(([path]) => path.endsWith(".md"))) {
      for (const [, link = ""] of text.matchAll(/\]\(([^)]+)\)/g)) {
        assert.isTrue(existsSync(join(root, path, "..", link)), `${path}: ${link}`)
      }
    }
  })
})

describe("the JSON Schemas", () => {
  it("accept whatever a command may print", () => {
    for (const [name, schema] of Object.entries(outputs)) {
      const valid = validator(`schemas/output/${name.replaceAll(/[ -]+/g, "-")}.json`)
      const encode = Schema.encodeUnknownSync(schema as Schema.Schema<unknown>)
      fc.assert(
        fc.property(Arbitrary.make(schema as Schema.Schema<unknown>), (value) => {
          assert.isTrue(valid(JSON.parse(JSON.stringify(encode(value)))), `${name}: ${ajv.errorsText(valid.errors)}`)
        }),
        { numRuns: 30 }
      )
    }
  })

  it("and refuse what it may not", () => {
    const valid = validator("schemas/output/whoami.json")
    const account = { account: "a", id: "1", type: "human", roles: [], expires_at: "2026-11-25T12:00:00Z" }
    assert.isTrue(valid({ ...account, expires_in_ms: 1 }), ajv.errorsText(valid.errors))
    for (const wrong of [account, { ...account, expires_in_ms: "1" }, { ...account, expires_in_ms: 1, type: "dog" }]) {
      assert.isFalse(valid(wrong))
    }
  })

  it("accept every valid definition", () => {
    const valid = validator("schemas/definition.json")
    const encode = Schema.encodeSync(ServiceSpec)
    fc.assert(
      fc.property(Arbitrary.make(ServiceSpec), (spec) => {
        assert.isTrue(valid(JSON.parse(JSON.stringify(encode(spec)))), ajv.errorsText(valid.errors))
      })
    )
  })

  it("and refuse a key that is mistyped, missing or of another type", () => {
    const valid = validator("schemas/definition.json")
    const web = 'name = "web"\n[[components]]\nname = "api"\nimage = "web:1"\n'
    assert.isTrue(valid(parse(web)))
    for (const wrong of ['imgae = "web:1"', "restart = 1", "[[components.routes]]\nport = 70000"]) {
      assert.isFalse(valid(parse(`${web}${wrong}`)), wrong)
    }
    assert.isFalse(valid(parse('name = "web"')))
  })
})
