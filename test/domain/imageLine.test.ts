import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Either, FastCheck as fc, Schema } from "effect"
import { parse, stringify } from "smol-toml"
import { parseDefinition } from "../../src/domain/Definition.ts"
import { imageOf, sameImage, withImage } from "../../src/domain/imageLine.ts"
import { ImageReference } from "../../src/domain/Scalars.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import { formatProblem } from "../../src/domain/Toml.ts"

const set = (text: string, component = "web", reference = "r.example/web:v2") =>
  Either.getOrThrow(withImage(text, component, reference))

const parsed = (text: string) => Either.map(parseDefinition({ file: "a.toml", text }), ({ spec }) => spec)

describe("setting an image in a definition", () => {
  it.each([
    ['[[components]]\nname = "web"\nimage = "x:1"\n', '[[components]]\nname = "web"\nimage = "r.example/web:v2"\n'],
    [
      "# image = 'x'\n[[components]]\nimage = 'x:1' # why\nname = 'db'\n[[components]] # two\r\n  image  =  'x:1' # keep\r\nname = 'web'",
      "# image = 'x'\n[[components]]\nimage = 'x:1' # why\nname = 'db'\n[[components]] # two\r\n  image  =  'r.example/web:v2' # keep\r\nname = 'web'"
    ],
    [
      'components = [{ name = "db", image = "x:1" }, { image = "x:1", name = "web" }] # all',
      'components = [{ name = "db", image = "x:1" }, { image = "r.example/web:v2", name = "web" }] # all'
    ],
    [
      'components = [\n  # the first\n  { name = "web", "image" = \'x:1\', env = { image = "x:1" } },\n]\n',
      'components = [\n  # the first\n  { name = "web", "image" = \'r.example/web:v2\', env = { image = "x:1" } },\n]\n'
    ],
    [
      '[[components]]\nname = "web"\n"image" = """x:1"""\n[components.env]\nimage = "x:1"\n',
      '[[components]]\nname = "web"\n"image" = "r.example/web:v2"\n[components.env]\nimage = "x:1"\n'
    ],
    [
      "[[components]]\nname = \"web\"\nimage = '''\nx:1'''\n",
      '[[components]]\nname = "web"\nimage = "r.example/web:v2"\n'
    ],
    ['\uFEFF[[components]]\nname="web"\nimage="x:1"', '\uFEFF[[components]]\nname="web"\nimage="r.example/web:v2"'],
    ['[["components"]]\nname="web"\nimage="x:1"', '[["components"]]\nname="web"\nimage="r.example/web:v2"']
  ])("%j", (before, after) => {
    assert.strictEqual(set(before), after)
  })

  it("leaves a text that names the same image as it is", () => {
    const text = '[[components]]\nname = "web"\nimage = "nginx:1" # short\n'
    assert.strictEqual(set(text, "web", "docker.io/library/nginx:1"), text)
  })

  it.each([
    ['[[components]]\nname = "api"\nimage = "x:1"\n', "f.toml:1:1: components: no web"],
    ["components = 3\n", "f.toml:1:1: components: no web"],
    ['name = "a"\n', "components: no web"],
    ['[[components]]\nname = "web"\n', "components: no web"],
    ['name = "a\n', "f.toml:1:10: not TOML"]
  ])("writes nothing into %j", (text, problem) => {
    assert.include(formatProblem(Either.getOrThrow(Either.flip(withImage(text, "web", "x:2", "f.toml")))), problem)
  })

  it("a reference that would break out of its quotes is refused", () => {
    const text = '[[components]]\nname = "web"\nimage = "x:1"\n'
    assert.isTrue(Either.isLeft(withImage(text, "web", 'x"\nuser = "root')))
  })

  it("the image of a component can be read from a definition with other mistakes", () => {
    const text = 'active = 3\n[[components]]\nname = "web"\nimage = "x:1"\n[[components]]\nname = "db"\nimage = 3\n'
    assert.deepStrictEqual(
      ["web", "db", "api"].map((component) => imageOf(text, component)),
      ["x:1", undefined, undefined]
    )
    assert.isUndefined(imageOf("x = ", "web"))
    assert.isTrue(sameImage("nginx", "docker.io/library/nginx"))
    assert.isFalse(sameImage("nginx", "nginx:1"))
  })

  const references = Arbitrary.make(Schema.typeSchema(ImageReference))

  it("changes that image and nothing else, whatever the definition", () => {
    const comments = fc.array(fc.constantFrom("# image = 'x'", "", "#[[components]]"))
    fc.assert(
      fc.property(Arbitrary.make(ServiceSpec), comments, fc.nat(), references, (spec, extra, pick, reference) => {
        const text = `${extra.join("\n")}\n${stringify(Schema.encodeSync(ServiceSpec)(spec))}`
        const wanted = spec.components[pick % spec.components.length]?.name ?? ""
        const index = spec.components.findIndex(({ name }) => name === wanted)
        const edited = set(text, wanted, reference)
        const components = spec.components.map((c, i) => (i === index ? { ...c, image: reference } : c))
        const reread: unknown = Schema.decodeUnknownSync(ServiceSpec)(parse(edited))
        assert.deepStrictEqual(reread, { ...spec, components })
        const other = (line: string) => !line.startsWith("image = ")
        assert.deepStrictEqual(edited.split("\n").filter(other), text.split("\n").filter(other))
      })
    )
  })

  it("in every layout, and every other byte stays", () => {
    const pair = fc.record({
      reference: references,
      quote: fc.constantFrom('"', "'"),
      gap: fc.constantFrom("", " ", "   "),
      first: fc.boolean(),
      inline: fc.boolean()
    })
    const layouts = fc.record({
      components: fc.array(pair, { minLength: 1, maxLength: 5 }),
      inline: fc.boolean(),
      newline: fc.constantFrom("\n", "\r\n"),
      comment: fc.constantFrom("", " # image = 'x'", "# [[components]]")
    })
    fc.assert(
      fc.property(layouts, fc.nat(), references, ({ comment, components, inline, newline }, pick, to) => {
        const index = pick % components.length
        const write = (image: (i: number, own: string) => string) => {
          const fields = components.map(({ first, gap, quote, reference }, i) => {
            const [a, b] = [`name${gap}=${gap}"c${i}"`, `image${gap}=${gap}${quote}${image(i, reference)}${quote}`]
            return first ? [b, a] : [a, b]
          })
          const body = inline
            ? [
                `components = [${newline}${fields.map((f) => `{ ${f.join(", ")} },${comment}`).join(newline)}${newline}]`
              ]
            : fields.flatMap((f) => [`[[components]]${comment}`, ...f])
          return ['name = "a"', ...body, ""].join(newline)
        }
        const before = write((_, own) => own)
        assert.isTrue(Either.isRight(parsed(before)), before)
        assert.strictEqual(
          set(before, `c${index}`, to),
          write((i, own) => (i === index ? to : own))
        )
      })
    )
  })
})
