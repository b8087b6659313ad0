import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { bad, FILE, from, good } from "./support.ts"

const first = (text: string) => bad(text)[0] ?? ""
const image = "image: a:1, restart: always"

/** Whatever it is, it is over soon. */
const soon = <A>(run: () => A): A => {
  const started = performance.now()
  const result = run()
  assert.isBelow(performance.now() - started, 10_000)
  return result
}

describe("a compose file that is none", () => {
  it("is told with its place", () => {
    assert.match(first(""), /^shop\/compose.yaml:1:1: is empty$/)
    assert.match(first("[]"), /expected a map with services/)
    assert.match(first("a: 1"), /has no services/)
    assert.match(first("services:"), /:1:1: services: has no service/)
    assert.match(first("services: [web]"), /:1:11: services: expected a map/)
    assert.match(first("services: { web: }"), /services.web: expected a map with image or build/)
    assert.match(first("services: { web: { restart: always } }"), /:1:13: services.web: needs image or build/)
    assert.match(first("services:\n  web:\n  \timage: a"), /^shop\/compose.yaml:3:\d+: not YAML/)
    assert.match(first("services: {\n"), /not YAML/)
    assert.match(first("a: 1\n---\nb: 2"), /not YAML: .*multiple documents/i)
    assert.match(first("services: { ? [a] : b }"), /a key must be a text/)
    assert.match(first("services: { web: !!python/object x }"), /the tag .* means nothing/)
    assert.match(
      first("services: { web: { image: A:1 } }"),
      /:1:27: components\[0\].image: expected an image reference/
    )
  })

  it("is told all at once", () => {
    const text = `services: { a: { ${image}, ports: 99999999, user: [1] }, b: { ${image}, depends_on: [x], cpus: much } }`
    assert.strictEqual(bad(text).length, 4)
  })

  it("is told in the order of the file, with the variables that are not set", () => {
    assert.deepStrictEqual(
      bad("services:\n  web:\n    restart: x\n    image: 'a:${TAG}'\n    volumes: ['${DIR}:/x']"),
      [
        "shop/compose.yaml:3:14: services.web.restart: expected no, always, unless-stopped, on-failure or on-failure:N",
        "shop/compose.yaml:5:15: services.web.volumes[0]: expected [source:]target[:ro]; not set: DIR"
      ]
    )
    assert.match(first("services: { web: { image: 'a:${TAG}' } }"), /image reference .*; not set: TAG$/)
  })

  it("with a key twice is refused, the first named", () => {
    assert.match(
      first("services:\n  web: { image: a }\n  db: { image: b }\n  web: { image: c }"),
      /:4:3: web stands here twice; the first is on line 2/
    )
  })
})

describe("a compose file that means harm", () => {
  it("makes no terabyte of aliases", () => {
    const levels = Array.from(
      { length: 30 },
      (_, i) => `x-${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(", ")}]`
    )
    assert.match(
      soon(() => first(`x-0: &a0 [1]\n${levels.join("\n")}\nservices: { web: { ${image} } }`)),
      /more than 50000 values/
    )
    assert.match(first("x: &a [*a]"), /\*a stands within itself/)
    assert.match(first("x: &a { <<: *a }"), /stands within itself/)
    assert.match(first("x: *b"), /b/)
    assert.match(first("x: &a 1\nservices: { <<: *a }"), /<< takes a map/)
  })

  it("however deep or large ends", () => {
    for (const text of ["[".repeat(20_000), "{a: ".repeat(20_000), `${"- ".repeat(20_000)}a`, "&a ".repeat(20_000)])
      assert.match(
        soon(() => first(text)),
        /not YAML: (nested too deeply|A node can have)/
      )
    assert.match(
      soon(() => first(`a: ${"x".repeat(1024 ** 2)}`)),
      /larger than 1 MiB/
    )
    const many = Array.from({ length: 20_000 }, (_, i) => `  V${i}: ${i}`).join("\n")
    assert.strictEqual(soon(() => bad(`x-y:\n${many}\nservices: { web: { ${image} } }`)).length, 0)
    assert.isNotEmpty(soon(() => bad(`services: { web: { image: "${"${A:-".repeat(50_000)}" } }`)))
    const services = Array.from({ length: 300 }, (_, i) => `  s${i}: { ${image} }`).join("\n")
    assert.match(
      soon(() => first(`services:\n${services}`)),
      /at most 256 components/
    )
  })

  it("keeps names that JavaScript would swallow", () => {
    assert.match(first(`services: { web: { ${image}, environment: { __proto__: x } } }`), /__proto__/)
    const { components } = good(
      `services: { __proto__: { ${image} }, constructor: { ${image}, depends_on: [__proto__] } }`
    )
    assert.deepStrictEqual(components, ["proto", "constructor"])
    assert.deepStrictEqual(good(`services: { web: { ${image}, constructor: 1, toString: 2 } }`).outcomes.length, 2)
  })

  it("does not steer the terminal", () => {
    for (const line of [
      ...good(`services: { web: { ${image}, "x\\e[2J": 1 } }`).lines,
      ...bad('services: { web: { image: "\\e[2J" } }')
    ])
      assert.notMatch(line, /\p{Cc}/u)
  })

  it("goes round in no circle", () => {
    assert.match(
      first(`services: { a: { ${image}, extends: b }, b: { ${image}, extends: a } }`),
      /services.a.extends: a circle: b → a → b/
    )
    assert.match(first(`services: { a: { ${image}, extends: a } }`), /a circle/)
    const files = {
      [FILE]: `services: { a: { extends: { service: a, file: b.yaml } } }`,
      "shop/b.yaml": `services: { a: { extends: { service: a, file: compose.yaml } } }`
    }
    assert.match(bad(files)[0] ?? "", /a circle/)
    const including = {
      [FILE]: `include: [b.yaml]\nservices: { a: { ${image} } }`,
      "shop/b.yaml": "include: [compose.yaml]"
    }
    assert.match(bad(including)[0] ?? "", /include: a circle/)
    const chain = Object.fromEntries(
      Array.from({ length: 200 }, (_, i) => [
        i === 0 ? FILE : `shop/${i}.yaml`,
        `include: [${i + 1}.yaml]\nservices: { s${i}: { ${image} } }`
      ])
    )
    assert.isNotEmpty(soon(() => bad(chain)))
  })

  it("or is no text at all, is refused or carried over, and never a crash", () => {
    const yaml = fc.string({ unit: fc.constantFrom(..."services: {}[]-&*!<\n\t'\"|>?#%@,web image$"), maxLength: 200 })
    fc.assert(
      fc.property(fc.oneof(yaml, fc.string()), (text) => void from({ [FILE]: text })),
      { numRuns: 300 }
    )
  })
})
