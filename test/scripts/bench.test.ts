import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Contender, measure } from "../bench/harness.ts"
import { compare, markdown, median, sampled } from "../bench/statistics.ts"

const counting = (name: string, order: Array<string>, value: number): Effect.Effect<Contender> =>
  Effect.succeed({
    name,
    sample: Effect.sync(() => {
      order.push(name)
      return value
    })
  })

it("a median lies in the middle, or between the two in the middle", () => {
  assert.strictEqual(median([9, 1, 5]), 5)
  assert.strictEqual(median([10, 9, 1, 5]), 7)
  assert.isNaN(median([]))
})

it("of times the ratio may be at most the target, of rates at least", () => {
  const slow = sampled("mcp", "ms", [30, 20, 40])
  const quick = sampled("peer", "ms", [10, 10, 40])
  assert.include(compare("row", "ms", 2.5, slow, quick), { ratio: 3, bound: "at most", met: false })
  assert.include(compare("row", "ms", 3, slow, quick), { ratio: 3, met: true })
  const rate = sampled("mcp", "calls/s", [600])
  const bare = sampled("echo", "calls/s", [1000])
  assert.include(compare("row", "calls/s", 0.6, rate, bare), { ratio: 0.6, bound: "at least", met: true })
  assert.include(compare("row", "calls/s", 0.7, rate, bare), { met: false })
})

it("what has no samples is not measured, and is no guess", () => {
  const ours = sampled("mcp", "ms", [1])
  const result = compare("row", "ms", 1, ours, { name: "docker", why: "dockerd | did\nnot start" })
  assert.include(result, { ratio: null, met: null })
  assert.include(
    markdown([result]),
    "| row | mcp: 1.0 ms (1.0-1.0) | docker: not measured (dockerd did not start) | - | <= 1 | not measured |"
  )
  assert.include(compare("row", "ms", 1, sampled("mcp", "ms", []), ours), { met: null })
})

it("the table has a line for each peer, with medians, least and most", () => {
  const table = markdown([compare("row", "ms", 2.5, sampled("mcp", "ms", [300, 100, 220]), sampled("p", "ms", [110]))])
  assert.deepStrictEqual(table.split("\n").slice(2), [
    "| row | mcp: 220 ms (100-300) | p: 110 ms (110-110) | 2.00 | <= 2.5 | yes |"
  ])
})

it.effect("all take turns, each is first in its turn, and the warm-up does not count", () =>
  Effect.gen(function* () {
    const order: Array<string> = []
    const results = yield* measure(
      {
        name: "row",
        unit: "ms",
        ours: counting("mcp", order, 2),
        peers: [{ name: "peer", target: 1, make: counting("peer", order, 4) }]
      },
      2
    )
    assert.deepStrictEqual(order, ["mcp", "peer", "peer", "mcp", "mcp", "peer"])
    assert.include(results[0], { ratio: 0.5, met: true })
    assert.include(results[0]?.ours, { runs: 2 })
  })
)

it.effect("a peer that cannot be made, or breaks, is left out, and the others go on", () =>
  Effect.gen(function* () {
    const order: Array<string> = []
    const breaks = { name: "breaks", sample: Effect.dieMessage("it broke") }
    const results = yield* measure(
      {
        name: "row",
        unit: "ms",
        ours: counting("mcp", order, 2),
        peers: [
          { name: "absent", target: 1, make: Effect.dieMessage("there is none") },
          { name: "breaks", target: 1, make: Effect.succeed(breaks) },
          { name: "peer", target: 1, make: counting("peer", order, 4) }
        ]
      },
      1
    )
    assert.deepStrictEqual(
      results.map(({ met, peer }) => [peer.name, met]),
      [
        ["absent", null],
        ["breaks", null],
        ["peer", true]
      ]
    )
    assert.include(JSON.stringify(results), "there is none")
    assert.include(JSON.stringify(results), "it broke")
  })
)

it.effect("a row that we cannot run ourselves has no figure", () =>
  Effect.gen(function* () {
    const order: Array<string> = []
    const [result] = yield* measure(
      {
        name: "row",
        unit: "ms",
        ours: Effect.dieMessage("no agent"),
        peers: [{ name: "peer", target: 1, make: counting("peer", order, 4) }]
      },
      1
    )
    assert.include(result, { met: null })
    assert.deepStrictEqual(order, [])
  })
)
