import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, TestClock, TestContext } from "effect"
import * as RateLimit from "../../src/mcias/rateLimit.ts"

/** Which of the requests went through, given the pause before each. */
const passed = (pauses: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const mayPass = RateLimit.make()
    let at = 0
    const all: Array<{ readonly at: number; readonly passed: boolean }> = []
    for (const pause of pauses) {
      yield* TestClock.adjust(pause)
      at += pause
      all.push({ at, passed: yield* mayPass("192.0.2.1") })
    }
    return all
  }).pipe(Effect.provide(TestContext.TestContext))

describe("the rate limit", () => {
  it("lets through ten at once and ten a second, in whatever rhythm they come", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 60 }), async (pauses) => {
        const all = await Effect.runPromise(passed(pauses))
        const through = all.filter((one) => one.passed).map((one) => one.at)
        for (const [first, from] of through.entries()) {
          for (const [last, to] of through.entries()) {
            if (last < first) continue
            assert.isAtMost(last - first + 1, 10 + (to - from) / 100 + 1e-6)
          }
        }
        // Whoever waits a tenth of a second is not refused.
        for (const [index, one] of all.entries()) if ((pauses[index] ?? 0) >= 101) assert.isTrue(one.passed)
      }),
      { numRuns: 30 }
    ))

  it.effect("an eleventh at once is refused, and one more goes after 100 ms", () =>
    Effect.gen(function* () {
      const mayPass = RateLimit.make()
      const ask = (times: number) => Effect.all(Array.from({ length: times }, () => mayPass("192.0.2.1")))
      assert.deepStrictEqual(yield* ask(11), [...Array.from({ length: 10 }, () => true), false])
      assert.isTrue(yield* mayPass("192.0.2.2"))
      yield* TestClock.adjust("99 millis")
      assert.deepStrictEqual(yield* ask(1), [false])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* ask(2), [true, false])
    })
  )

  it.effect("keeps no more than 10,000 addresses", () =>
    Effect.gen(function* () {
      const mayPass = RateLimit.make()
      const flood = (n: number) =>
        Effect.forEach(
          Array.from({ length: n }, (_, i) => `host-${i}`),
          mayPass
        )
      yield* Effect.replicateEffect(mayPass("first"), 10)
      yield* flood(9_999)
      assert.isFalse(yield* mayPass("first"))
      yield* mayPass("one more")
      // The oldest, which was to be forgotten.
      assert.isTrue(yield* mayPass("first"))
    })
  )

  const addresses = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0db8:1:2::9", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["gone", "gone"]
  ] as const
  for (const [peer, address] of addresses) {
    it(`counts ${peer} as ${address}`, () => assert.strictEqual(RateLimit.addressOf(peer), address))
  }
})
