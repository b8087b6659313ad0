import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Either, FastCheck as fc, Schema } from "effect"
import { parse } from "smol-toml"
import { definitionText } from "../../src/domain/definitionText.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import { canonicalService } from "../../src/domain/SpecHash.ts"

const specOf = Schema.decodeUnknownSync(ServiceSpec)

describe("a spec as a definition", () => {
  it("is read back as the same spec, whatever is in it", () => {
    fc.assert(
      fc.property(Arbitrary.make(ServiceSpec), (spec) => {
        const read = Schema.decodeUnknownEither(ServiceSpec)(parse(definitionText(spec)))
        assert.strictEqual(canonicalService(Either.getOrThrow(read)), canonicalService(spec))
      }),
      { numRuns: 50 }
    )
  })

  it("has only what is not a default, and active", () => {
    const spec = specOf({
      name: "blog",
      components: [
        { name: "web", image: "nginx:1.27", env: { A: "b c" }, health: { http: "/", port: 80 }, ports: ["80:80"] }
      ]
    })
    assert.strictEqual(
      definitionText(spec),
      `#:schema ./.definition.schema.json
name = "blog"
active = true

[[components]]
name = "web"
image = "docker.io/library/nginx:1.27"
ports = [ "80:80" ]

[components.env]
A = "b c"

[components.health]
http = "/"
port = 80
`
    )
  })
})
