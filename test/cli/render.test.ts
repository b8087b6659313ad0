import { assert, describe, it } from "@effect/vitest"
import { plain, shorten, strip, tame } from "../../src/cli/ansi.ts"
import { table } from "../../src/cli/table.ts"
import { grouped } from "../../src/cli/target.ts"
import { took, uptime } from "../../src/cli/time.ts"

const S = 1000
const M = 60 * S
const H = 60 * M
const D = 24 * H

describe("uptime", () => {
  for (const [millis, text] of [
    [0, "0s"],
    [-5, "0s"],
    [999, "0s"],
    [12 * S, "12s"],
    [60 * S, "1m"],
    [2 * M + 19 * S, "2m19s"],
    [H, "1h"],
    [H + 59 * S, "1h"],
    [3 * H + 5 * M + 7 * S, "3h5m"],
    [2 * D + 16 * H + 40 * M, "2d16h"],
    [400 * D, "400d"]
  ] as const) {
    it(`${millis} ms is ${text}`, () => assert.strictEqual(uptime(millis), text))
  }
})

it("durations keep milliseconds while they are short", () => {
  assert.deepStrictEqual([0, 640, 3210, 139_000].map(took), ["0ms", "640ms", "3.2s", "2m19s"])
})

describe("table", () => {
  const look = { paint: plain, width: Number.MAX_SAFE_INTEGER }
  it("aligns columns, shows empty cells as -, and ends lines without blanks", () => {
    assert.deepStrictEqual(
      table(
        ["A", "LONGER"],
        [
          ["wide cell", ""],
          ["x", "y"]
        ],
        look
      ),
      ["A          LONGER", "wide cell  -", "x          y"]
    )
  })
  it("leaves columns at the end out where even narrow ones do not fit", () => {
    const rows = [["my-service", "component", "running", "127.0.0.1:8080:80"]]
    const lines = table(["SERVICE", "COMPONENT", "STATE", "PORTS"], rows, { ...look, width: 24 })
    assert.deepStrictEqual(lines, ["SERVI…  COMPON…  STATE", "my-se…  compon…  running"])
  })
  it("takes the width from the widest column first", () => {
    const rows = [["web", "a-very-long-image-reference:v1", "ok"]]
    for (const width of [20, 25, 30]) {
      const lines = table(["SVC", "IMAGE", "ST"], rows, { ...look, width })
      assert.isTrue(
        lines.every((line) => line.length <= width),
        lines.join("\n")
      )
      assert.match(lines[1] ?? "", /^web {2}a-very-l?.*… {2}ok$/)
    }
  })
})

it("text of others cannot drive the terminal", () => {
  assert.strictEqual(tame("a\u001b[2Jb\r\nc\u0007"), "ab c ")
  assert.strictEqual(strip("\u001b[31mred\u001b[0m \u001b]8;;http://x\u0007link\u001b]8;;\u0007"), "red link")
  assert.strictEqual(shorten("abcdef", 4), "abc…")
})

it("targets of one service are one group, and the whole service swallows its components", () => {
  const target = (service: string, component?: string) => ({ service, component })
  assert.deepStrictEqual(grouped([target("web", "api"), target("db"), target("web", "worker"), target("web", "api")]), [
    { service: "web", components: ["api", "worker"] },
    { service: "db", components: [] }
  ])
  assert.deepStrictEqual(grouped([target("web", "api"), target("web"), target("web", "worker")]), [
    { service: "web", components: [] }
  ])
})
