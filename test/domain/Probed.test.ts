import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import {
  afterProbe,
  firstWords,
  type Probed,
  type ProbeRun,
  probeReason,
  unprobed,
  withProbe
} from "../../src/domain/Probed.ts"

const rule = { retries: 3, startPeriod: 1_000 }
const bad = { healthy: false, detail: "HTTP 503" }
const good = { healthy: true, detail: "HTTP 200" }

const showing = (
  results: ReadonlyArray<{ healthy: boolean; detail: string }>,
  upMs = 10_000,
  from = unprobed
): Probed => results.reduce((before, result) => afterProbe(before, result, rule, upMs), from)

describe("what probes say of a container", () => {
  it("one success is enough", () => {
    assert.strictEqual(showing([bad, bad, good]).state, "healthy")
  })

  it("as many failures in a row as `retries` make it unhealthy, and one fewer does not", () => {
    assert.strictEqual(showing([good, bad, bad]).state, "healthy")
    assert.deepStrictEqual(showing([good, bad, bad, bad]), { state: "unhealthy", failures: 3, detail: "HTTP 503" })
  })

  it("until its first success, failures within the start period do not count", () => {
    assert.strictEqual(showing([bad, bad, bad, bad], 999).state, "starting")
    assert.strictEqual(showing([good, bad, bad, bad], 999).state, "unhealthy")
  })

  it("an answer is told rather than that a later probe had none in time", () => {
    const timeout = { healthy: false, detail: "no answer within 5000 ms" }
    assert.strictEqual(showing([bad, timeout, timeout]).detail, "HTTP 503")
    assert.strictEqual(showing([timeout, bad, timeout]).detail, "HTTP 503")
    assert.strictEqual(probeReason(showing([timeout, timeout, timeout]).detail), "probe_timeout")
    assert.strictEqual(probeReason("HTTP 503"), "probe_status_503")
  })

  it("probes that find the same are one run, and the last few runs are kept", () => {
    const once = withProbe(withProbe(withProbe([], good, 1), good, 2), bad, 3)
    assert.deepStrictEqual(once, [
      { ...good, from: 1, until: 2, times: 2 },
      { ...bad, from: 3, until: 3, times: 1 }
    ])
    const many = Array.from({ length: 100 }, (_, i) => i).reduce<ReadonlyArray<ProbeRun>>(
      (runs, i) => withProbe(runs, i % 2 === 0 ? good : bad, i),
      []
    )
    assert.strictEqual(many.length, 10)
    assert.strictEqual(many.at(-1)?.until, 99)
  })

  it("a body's first words are one short line: of a page its text, of control characters none", () => {
    assert.strictEqual(firstWords("<html><title>x</title><body><h1>502</h1>\r\n<p>Bad gateway</p>"), "502 Bad gateway")
    assert.strictEqual(firstWords("a\u001b[2J\u0000b\n"), "a [2J b")
    assert.strictEqual(firstWords("y".repeat(5_000)).length, 200)
    assert.strictEqual(probeReason("HTTP 503: database is down"), "probe_status_503")
  })

  it("whatever happened before, it is unhealthy only after `retries` failures, and healthy only after a success", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }), (all) => {
        const now = showing(all.map((healthy) => (healthy ? good : bad)))
        const failing = all.length - 1 - all.lastIndexOf(true)
        if (now.state === "unhealthy") assert.isAtLeast(failing, rule.retries)
        else assert.isBelow(failing, rule.retries)
        assert.strictEqual(now.failures, failing)
        if (now.state === "healthy") assert.include(all, true)
      })
    )
  })
})
