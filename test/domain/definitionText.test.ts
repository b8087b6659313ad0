import { assert, it } from "@effect/vitest"
import { Arbitrary, Either, FastCheck as fc, Schema } from "effect"
import { parseDefinition } from "../../src/domain/Definition.ts"
import { definitionText } from "../../src/domain/definitionText.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import { parse } from "../../src/domain/Toml.ts"

const encode = Schema.encodeSync(ServiceSpec)
const decode = Schema.decodeUnknownSync(ServiceSpec, { onExcessProperty: "error" })

it("every spec comes back from its text", () => {
  fc.assert(
    fc.property(Arbitrary.make(ServiceSpec), (spec) => {
      const text = definitionText(encode(spec), ["a comment\nwith a line"])
      const document = Either.getOrThrowWith(
        parse("x.toml", text),
        (problem) => new Error(`${problem.message}\n${text}`)
      )
      assert.deepStrictEqual(encode(decode(document.value)), encode(spec))
    }),
    { numRuns: 25 }
  )
})

it("says only what differs from the defaults, in the schema's order", () => {
  const spec = decode({
    components: [
      {
        ...{ routes: [{ port: 443, public: false }], health: { http: "/", retries: 3 }, depends_on: [] },
        ...{ env: { B: "1", A: 'quo"ted' }, stop_timeout: "10s", image: "nginx:1", name: "web", cpus: 2 }
      }
    ],
    ...{ name: "shop", snapshot: { method: "full" }, build: { images: {} } }
  })
  const text = definitionText(encode(spec))
  assert.strictEqual(
    text,
    `#:schema ./.definition.schema.json
name = "shop"
active = true

[[components]]
name = "web"
image = "docker.io/library/nginx:1"
cpus = 2
env = { B = "1", A = "quo\\"ted" }

[components.health]
http = "/"

[[components.routes]]
port = 443

[snapshot]
method = "full"
`
  )
  assert.isTrue(Either.isRight(parseDefinition({ file: "shop.toml", text, expectedName: "shop" })))
})
