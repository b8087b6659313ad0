import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc, Schema } from "effect"
import { buildPlan } from "../../src/domain/BuildPlan.ts"
import { parseDefinition } from "../../src/domain/Definition.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"

const digest = `@sha256:${"ab".repeat(32)}`

const spec = (images: Readonly<Record<string, string>>, used: ReadonlyArray<string>) =>
  Schema.decodeUnknownSync(ServiceSpec)({
    name: "shop",
    build: { images },
    components: used.map((image, i) => ({ name: `c${i}`, image }))
  })

const refused = (used: ReadonlyArray<string>) => buildPlan(spec({ web: "Dockerfile" }, used)).refused[0]

describe("the images that are built of a definition", () => {
  it("get the full name that their components give them, once", () => {
    const used = ["r.example:5000/shop/web:v2", "db:16", "r.example:5000/shop/web:v2"]
    assert.deepStrictEqual(buildPlan(spec({ web: "Dockerfile.web" }, used)), {
      images: [
        {
          name: "web",
          reference: "r.example:5000/shop/web:v2",
          dockerfile: "Dockerfile.web",
          components: ["c0", "c2"],
          floating: false
        }
      ],
      refused: []
    })
  })

  it("are none that no component uses, and which images there are is told", () => {
    const found = refused(["r.example/shop/webs:1"])
    assert.strictEqual(found?.why, "unused")
    assert.match(found?.message ?? "", /no component uses an image called web: c0 has r\.example\/shop\/webs:1/)
  })

  it("are none that two components want under different names, and both are told", () => {
    const found = refused(["r.example/web:1", "r.example/web:2"])
    assert.strictEqual(found?.why, "several")
    assert.match(found?.message ?? "", /r\.example\/web:1 in component c0, r\.example\/web:2 in component c1/)
    assert.strictEqual(refused(["r.example/a/web:1", "r.example/b/web:1"])?.why, "several")
  })

  it("are none that is given by its digest", () => {
    for (const image of [`r.example/web${digest}`, `r.example/web:1${digest}`]) {
      assert.strictEqual(refused([image])?.why, "digest")
    }
  })

  it("have a tag that moves when it is latest, said or not", () => {
    const moves = (image: string) => buildPlan(spec({ web: "D" }, [image])).images[0]?.floating
    assert.deepStrictEqual(
      [moves("r.example/web"), moves("r.example/web:latest"), moves("r.example/web:1")],
      [true, true, false]
    )
  })

  const names = ["a", "b", "c"] as const
  const reference = fc
    .tuple(
      fc.constantFrom("r.example:5000/", "r.example/team/"),
      fc.constantFrom(...names),
      fc.constantFrom(":1", ":2", digest)
    )
    .map((parts) => parts.join(""))

  it("are each of [build.images] once, built or refused, and built under a name that components use", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.constantFrom(...names)),
        fc.array(reference, { minLength: 1, maxLength: 6 }),
        (keys, used) => {
          const { images, refused } = buildPlan(spec(Object.fromEntries(keys.map((key) => [key, `D.${key}`])), used))
          assert.deepStrictEqual([...images, ...refused].map(({ name }) => name).sort(), [...keys].sort())
          for (const { components, dockerfile, name, reference } of images) {
            assert.strictEqual(dockerfile, `D.${name}`)
            assert.isFalse(reference.includes("@"))
            // Every component with an image of that base name has just this one, and no other has it.
            used.forEach((image, i) => {
              const named = new RegExp(`/${name}[:@]`).test(image)
              assert.strictEqual(components.includes(`c${i}`), named)
              if (named) assert.strictEqual(image, reference)
            })
            assert.isAbove(components.length, 0)
          }
        }
      )
    )
  })
})

it("a definition with an image that cannot be built is valid, with a warning at its line", () => {
  const text =
    'name = "shop"\n[build.images]\nold = "Dockerfile"\n[[components]]\nname = "web"\nimage = "r.example/web:1"\n'
  const read = parseDefinition({ file: "shop.toml", text })
  assert.strictEqual(read._tag, "Right")
  const warnings = read._tag === "Right" ? read.right.warnings : []
  assert.deepStrictEqual(
    warnings.map(({ column, key, line }) => [key, line, column]),
    [["build.images.old", 3, 7]]
  )
})
