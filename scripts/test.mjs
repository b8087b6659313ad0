// Runs the whole suite, looks for what it left behind, and ends with one line: `N passed, N failed`.
// With MCP_TEST_SUMMARY set, that line goes into the file it names instead.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { leftBehind, snapshot } from "./leftovers.mjs"

const root = join(import.meta.dirname, "..")
const results = join(root, ".test/results.json")
mkdirSync(join(root, ".test"), { recursive: true })
rmSync(results, { force: true })

const before = snapshot()
const vitest = spawn(
  join(root, "node_modules/.bin/vitest"),
  ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${results}`, ...process.argv.slice(2)],
  { cwd: root, stdio: ["ignore", "inherit", "inherit"] }
)
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => vitest.kill(signal))
const [code] = await once(vitest, "exit")

const read = () => {
  try {
    return JSON.parse(readFileSync(results, "utf8"))
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] }
  }
}
const { numPassedTests: passed, numFailedTests, numPendingTests, numTodoTests, testResults } = read()
// A file that could not be loaded, or whose hook failed, has no failed test of its own.
const brokenFiles = testResults.filter(
  (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")
).length

let failed = numFailedTests + brokenFiles
const remains = leftBehind(before)
if (remains.length > 0) {
  failed += 1
  console.error(`\nThe tests left behind:\n${remains.map((line) => `  ${line}`).join("\n")}`)
}
// An error outside any test, or a crash.
if (code !== 0 && failed === 0) failed = 1
if (passed + failed === 0) {
  console.error("no test was run")
  failed = 1
}

const skipped = numPendingTests + numTodoTests
const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`
if (process.env.MCP_TEST_SUMMARY) writeFileSync(process.env.MCP_TEST_SUMMARY, `${line}\n`)
else console.log(line)
process.exitCode = failed > 0 ? 1 : 0
