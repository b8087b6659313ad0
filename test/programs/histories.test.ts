import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, TestContext } from "effect"
import { fused } from "./crashing.ts"
import { crashingHistories, histories, type Step } from "./histories.ts"
import { node } from "./support.ts"
import { walk } from "./walking.ts"

/** `make fault` goes through many more. */
const full = process.env.MCP_FAULT === "full"
const seed = Number(process.env.MCP_FAULT_SEED ?? 4711)

/** Walks many histories, each on a node of its own; answers how often an agent was killed. */
const walkAll = async (arbitrary: fc.Arbitrary<ReadonlyArray<Step>>, numRuns: number) => {
  let kills = 0
  const property = fc.asyncProperty(arbitrary, async (steps) => {
    kills += await Effect.runPromise(
      walk(steps).pipe(Effect.provide(fused(node())), Effect.provide(TestContext.TestContext))
    )
  })
  await fc.assert(property, { numRuns, seed, endOnFailure: process.env.MCP_FAULT_NO_SHRINK !== undefined })
  return kills
}

describe("whatever is done to a service, in whatever order", () => {
  it(
    "it is as it was told to be or as it was before; nothing is lost, doubled or left over",
    () => walkAll(histories, full ? 1_000 : 60),
    3_600_000
  )

  it("also when the agent is killed on the way", async () => {
    const runs = full ? 2_000 : 60
    // Fewer would mean that the kills fall behind the acts.
    assert.isAbove(await walkAll(crashingHistories, runs), runs / 2)
  }, 3_600_000)
})
