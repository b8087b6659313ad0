import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { leftOutLine, parseSums, sumLine } from "../../src/domain/Sha256Sums.ts"
import { temporaryFolder } from "../support/folder.ts"

const digest = (text: string) => createHash("sha256").update(text).digest()

it("digests are read as they were written, whatever a file's name", () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, unit: "grapheme" }).filter((name) => !name.startsWith("\\")))
  fc.assert(
    fc.property(names, fc.array(fc.string({ minLength: 1 })), (files, leftOut) => {
      const text = [...files.map((name) => sumLine(name, digest(name))), ...leftOut.map(leftOutLine)].join("")
      const sums = Either.getOrThrow(parseSums(text))
      assert.deepStrictEqual(
        [...sums.files],
        files.map((name) => [name, digest(name).toString("hex")])
      )
      assert.deepStrictEqual([...sums.leftOut], [...new Set(leftOut)])
    })
  )
})

it("sha256sum -c takes them, names with a newline or a backslash too", () => {
  const folder = temporaryFolder()
  const names = ["a", "b c", "with\nnewline", "with\\backslash", "\u00fc"]
  for (const name of names) writeFileSync(join(folder, name), name)
  const lines = [...names.map((name) => sumLine(name, digest(name))), leftOutLine("gone\nby")]
  writeFileSync(join(folder, "sums"), lines.join(""))
  const said = execFileSync("sha256sum", ["--check", "--strict", "sums"], { cwd: folder, encoding: "utf8" })
  assert.strictEqual(said.match(/OK$/gm)?.length, names.length)
})

it("a cut or changed list is refused", () => {
  const good = sumLine("a", digest("a")) + sumLine("b", digest("b"))
  assert.isTrue(Either.isRight(parseSums(good)))
  for (const bad of [good.slice(0, -1), good.slice(1), `${good}x\n`, good + sumLine("a", digest("a"))]) {
    assert.isTrue(Either.isLeft(parseSums(bad)), bad)
  }
})
