import { assert, describe, it } from "@effect/vitest"
import { type Entry, mostEntries, probeEntry, timeline } from "../../src/domain/Timeline.ts"

const entry = (at: number, kind: string, text: string): Entry => ({ at, kind, text, actor: "" })
const shown = (entries: ReadonlyArray<Entry>) => timeline(entries).map(({ kind, text }) => `${kind} ${text}`)

describe("a timeline", () => {
  it("is in order, and of one time in the order in which it was told", () => {
    assert.deepStrictEqual(shown([entry(2, "exit", "b"), entry(1, "deploy", "a"), entry(2, "log", "c")]), [
      "deploy a",
      "exit b",
      "log c"
    ])
  })

  it("leaves out what was observed beside the restart or exit that it shows, and nothing else that was observed", () => {
    const all = [
      entry(0, "observed", "running -> unhealthy"),
      entry(10_000, "observed", "running -> exited"),
      entry(11_000, "restarted", "started again"),
      entry(11_500, "started", "its container started"),
      entry(12_000, "observed", "exited -> running"),
      entry(50_000, "exit", "exit code 1"),
      entry(51_000, "observed", "running -> exited")
    ]
    assert.deepStrictEqual(shown(all), [
      "observed running -> unhealthy",
      "observed running -> exited",
      "restarted started again",
      "exit exit code 1"
    ])
  })

  it("of many restarts tells the last three, and how many there were before", () => {
    const all = Array.from({ length: 50 }, (_, i) => entry(i * 60_000, "restarted", "started again"))
    assert.deepStrictEqual(shown(all), [
      "restarted 47 times in 46m: started again",
      ...Array.from({ length: 3 }, () => "restarted started again")
    ])
  })

  it("is bounded: the newest entries, all lines of the log, and no text without end", () => {
    const all = Array.from({ length: 500 }, (_, i) => entry(i, "alert", `${i}`))
    const found = timeline([...all, entry(0, "log", "x".repeat(100_000))])
    assert.lengthOf(found, mostEntries + 1)
    assert.strictEqual(found.at(-1)?.text, "499")
    assert.strictEqual(found[0]?.text.length, 500)
  })

  it("tells probes in a row as one", () => {
    const run = { from: 0, until: 90_000, times: 9, healthy: false, detail: "HTTP 503: down" }
    assert.strictEqual(probeEntry(run).text, "failed: HTTP 503: down, 9 times in 1m30s")
    assert.strictEqual(probeEntry({ ...run, times: 1, healthy: true, detail: "HTTP 200" }).text, "HTTP 200")
  })
})
