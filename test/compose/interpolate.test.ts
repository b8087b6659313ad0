import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { parseDotenv } from "../../src/compose/dotenv.ts"
import { interpolate } from "../../src/compose/interpolate.ts"
import { splitWords } from "../../src/compose/words.ts"
import { bad, FILE, good } from "./support.ts"

const variables: Readonly<Record<string, string>> = { SET: "value", EMPTY: "", OTHER: "other", _a1: "x" }
const lookup = (name: string) => (Object.hasOwn(variables, name) ? variables[name] : undefined)
const put = (text: string) =>
  Either.match(interpolate(text, lookup), { onLeft: (why) => ({ why }), onRight: ({ text }) => text })

describe("interpolation, by the examples of compose's specification", () => {
  const examples: ReadonlyArray<readonly [text: string, gives: string]> = [
    ["$SET ${SET} a${SET}b$SET", "value value avalueb" + "value"],
    ["${SET:-default} ${EMPTY:-default} ${UNSET:-default}", "value default default"],
    ["${SET-default} ${EMPTY-default} ${UNSET-default}", "value  default"],
    ["${SET:?no} ${SET?no} ${EMPTY?no}", "value value "],
    ["${SET:+other} ${EMPTY:+other} ${UNSET:+other}", "other  "],
    ["${SET+other} ${EMPTY+other} ${UNSET+other}", "other other "],
    ["${UNSET:-${OTHER}} ${UNSET:-${NONE:-deep}} ${UNSET-$OTHER}", "other deep other"],
    ["${SET:+${OTHER}-${EMPTY:-e}}", "other-e"],
    ["${SET:-${UNSET:?never asked}}", "value"],
    ['${UNSET:-{"a": {"b": 1}}}', '{"a": {"b": 1}}'],
    ["$$SET $${SET} $$$SET a$ $1 $-", "$SET ${SET} $value a$ $1 $-"],
    ["${UNSET:-} ${UNSET:-http://x:80/$$}", " http://x:80/$"],
    ["$_a1 ${_a1}", "x x"],
    ["${UNSET} $UNSET", " "]
  ]
  for (const [text, gives] of examples) it(text, () => assert.strictEqual(put(text), gives))

  it("is refused where it is none, and where a needed variable is missing", () => {
    for (const text of ["${", "${SET", "${}", "${ SET}", "${SET/a/b}", "${1}", "${SET:x}", "${UNSET:-${}"]) {
      assert.property(put(text), "why", text)
    }
    assert.deepStrictEqual(put("${UNSET:?say $OTHER}"), { why: "the variable UNSET is not set: say other" })
    assert.deepStrictEqual(put("${EMPTY:?}"), { why: "the variable EMPTY is empty" })
    assert.property(put("${A:-".repeat(100_000)), "why")
    assert.property(put(`${"${A:-".repeat(1000)}${"}".repeat(1000)}`), "why")
  })

  it("leaves every text without a dollar as it is, and $$ escapes any", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        assert.strictEqual(put(text.replaceAll("$", "")), text.replaceAll("$", ""))
        assert.strictEqual(put(text.replaceAll("$", "$$$$")), text)
      })
    )
  })

  it("takes the environment over --env-file or the .env beside the file, and says what is not set", () => {
    const text =
      "services:\n  web:\n    image: a:${A}\n    restart: always\n    environment: { B: $B, KEY$A: x, C: $C }"
    const files = { [FILE]: text, "shop/.env": "A=1\nB=from .env\n", "other.env": "A=2\n" }
    const one = good({ ...files, [FILE]: text.replace("KEY$A: x,", "") }, { env: { B: "from here" } })
    assert.include(one.text, '"a:1"')
    assert.include(one.text, 'B = "from here"')
    // Keys are taken as they are.
    assert.match(
      bad(files, { envFile: "other.env" })[0] ?? "",
      /:5:34: services.web.environment."KEY\$A": expected the name of an environment variable$/
    )
    assert.match(bad(files, { envFile: "none.env" })[0] ?? "", /there is no file none.env/)
    assert.deepStrictEqual(good({ ...files, [FILE]: text.replace("KEY$A: x,", "") }, { envFile: "other.env" }).lines, [
      "shop/compose.yaml:5:23: services.web.environment.B: the variable B is not set: nothing stands in its place",
      "shop/compose.yaml:5:31: services.web.environment.C: the variable C is not set: nothing stands in its place"
    ])
  })

  it("tells a missing required variable with its place", () => {
    assert.deepStrictEqual(bad("services:\n  web:\n    image: a:${TAG:?which one}"), [
      "shop/compose.yaml:3:12: services.web.image: the variable TAG is not set: which one"
    ])
  })
})

describe("an env file", () => {
  const read = (text: string) => Object.fromEntries(parseDotenv(text, lookup).values)
  it("is read with comments, quotes, lines within them and variables", () => {
    const text = `# comment
A=1
export B = two words # comment
C='single $SET # kept' # gone
D="double \\"$SET\\" \\$SET\\n\${A}"
E="over
two lines"
F=a#b
G=
SET
UNSET
H: yaml
I=\${NONE:-$A}\r
`
    assert.deepStrictEqual(read(text), {
      ...{ A: "1", B: "two words", C: "single $SET # kept", D: 'double "value" $SET\n1', E: "over\ntwo lines" },
      ...{ F: "a#b", G: "", SET: "value", H: "yaml", I: "1" }
    })
  })

  it("that is none is told by its line, without what stands there", () => {
    const { problems } = parseDotenv('A=1\nhunter2 is my secret\nB="open\n\n', lookup)
    assert.deepStrictEqual(problems, [
      { line: 2, message: "expected NAME=value" },
      { line: 3, message: 'B: a " that nothing closes' }
    ])
  })

  it("tells where a variable that is not set stands in a value, but not what it is called", () => {
    const { notes, values } = parseDotenv("A=$SET\n\nDB_PASSWORD=hun$ter2\nB='hun$ter2'\n", lookup)
    assert.deepStrictEqual([values.get("DB_PASSWORD"), values.get("B")], ["hun", "hun$ter2"])
    assert.deepStrictEqual(
      notes.map(({ line }) => line),
      [3]
    )
    assert.match(notes[0]?.message ?? "", /^DB_PASSWORD: a variable in it is not set(?!.*ter2)/)
  })

  it("ends, whatever it holds", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseDotenv(text, lookup)))
    parseDotenv('"'.repeat(200_000), lookup)
    parseDotenv("A=$A\n".repeat(100_000), lookup)
  })
})

describe("a command line", () => {
  it("that quotes every word gives the words back", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        const line = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" \n\t")
        assert.deepStrictEqual(Either.getOrThrow(splitWords(line)).words, words)
      })
    )
  })

  it("with a quote that nothing closes is refused", () => {
    for (const line of ["'a", 'a "b', "a\\"]) assert.isTrue(Either.isLeft(splitWords(line)))
    assert.match(
      bad('services: { web: { image: a:1, command: "run \'it" } }')[0] ?? "",
      /:1:41: services.web.command: a '/
    )
  })
})
