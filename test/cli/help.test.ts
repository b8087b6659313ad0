import { assert, describe, it } from "@effect/vitest"
import { helpTexts } from "../../src/cli/helpTexts.ts"
import { paths } from "../../src/cli/root.ts"

const texts = helpTexts("1.2.3")

describe("help", () => {
  it("fits on a terminal of 80 columns, and tells the words from what they mean", () => {
    for (const [words, [plain]] of Object.entries(texts)) {
      for (const line of plain.split("\n")) {
        assert.isAtMost(line.length, 80, `mcp ${words} --help: ${line}`)
        if (line.startsWith("  ")) assert.match(line, /^ {2}\S.* {2}\S/, `mcp ${words} --help`)
      }
    }
  })

  it("every command shows its own", () => {
    for (const [first, second] of paths) {
      for (const words of second.length === 0 ? [first] : second.map((word) => `${first} ${word}`)) {
        assert.include(texts[words]?.[0], `Usage: mcp ${words}`)
      }
    }
  })
})
