import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { type AlertKind, type AlertSettings, calm, nextStep, type Watched } from "../../src/domain/Alerting.ts"
import type { Drift } from "../../src/domain/Drift.ts"

const settings: AlertSettings = { holdFor: 10, cooldown: 100, flapThreshold: 3, flapWindow: 1_000 }

/** What is told over time: a look at each moment, and at each that the last one asked for. */
const told = (
  looks: ReadonlyArray<readonly [at: number, drift: ReadonlyArray<Drift>, silencedUntil?: number]>,
  until = 0,
  with_: AlertSettings = settings
) => {
  const all: Array<string> = []
  let state: Watched = calm
  let wakeAt: number | undefined
  const look = (at: number, drift: ReadonlyArray<Drift>, silencedUntil: number | undefined) => {
    const step = nextStep(state, drift, at, with_, silencedUntil)
    state = step.state
    wakeAt = step.wakeAt
    for (const kind of step.alerts) all.push(`${at} ${kind}`)
  }
  looks.forEach(([at, drift, silencedUntil], i) => {
    look(at, drift, silencedUntil)
    const next = looks[i + 1]?.[0] ?? until
    while (wakeAt !== undefined && wakeAt < next) look(wakeAt, drift, silencedUntil)
  })
  return all
}

describe("an alert", () => {
  it("comes when drift has lasted, and again after the cooldown while it lasts", () =>
    assert.deepStrictEqual(told([[0, ["stopped"]]], 250), ["10 stopped", "110 stopped", "210 stopped"]))

  it("does not come for what is over before it has lasted", () =>
    assert.deepStrictEqual(
      told(
        [
          [0, ["stopped"]],
          [9, []]
        ],
        500
      ),
      []
    ))

  it("comes at once where nothing is held", () =>
    assert.deepStrictEqual(told([[0, ["missing"]]], 50, { ...settings, holdFor: 0 }), ["0 missing"]))

  it("is followed by one `recovered`, and the next drift is told anew, within the cooldown too", () =>
    assert.deepStrictEqual(
      told(
        [
          [0, ["stopped"]],
          [20, []],
          [30, ["stopped"]],
          [50, []]
        ],
        60
      ),
      ["10 stopped", "20 recovered", "40 stopped", "50 recovered"]
    ))

  it("is of one kind: another kind of drift is told beside it, and one `recovered` ends both", () =>
    assert.deepStrictEqual(
      told(
        [
          [0, ["unhealthy"]],
          [20, ["unhealthy", "image"]],
          [40, []]
        ],
        50
      ),
      ["10 unhealthy", "30 image", "40 recovered"]
    ))
})

describe("flapping", () => {
  const three = [
    [0, ["stopped"]],
    [1, []],
    [2, ["stopped"]],
    [3, []],
    [4, ["stopped"]]
  ] as const

  it("is one alert, at once, and the rest of the window is silent; then `recovered`", () =>
    assert.deepStrictEqual(told([...three, [5, []], [6, ["stopped"]], [7, []]], 2_500), [
      "4 flapping",
      "1004 recovered"
    ]))

  it("is told again a window later while it goes on", () => {
    const on = Array.from({ length: 40 }, (_, i) => [i * 50, i % 2 === 0 ? ["stopped"] : []] as const)
    const alerts = told(on as never, 2_000, { ...settings, holdFor: 100 })
    assert.deepStrictEqual(alerts, ["200 flapping", "1200 flapping"])
  })

  it("that ends in lasting drift is told as that", () =>
    assert.deepStrictEqual(told([...three], 1_050), ["4 flapping", "1004 stopped"]))
})

describe("a maintenance window", () => {
  it("is silent, and what is still so after it is told then", () =>
    assert.deepStrictEqual(told([[0, ["stopped"], 500]], 550), ["500 stopped"]))

  it("hides what has passed within it", () =>
    assert.deepStrictEqual(
      told(
        [
          [0, ["stopped"], 500],
          [50, [], 500]
        ],
        1_000
      ),
      []
    ))

  it("holds `recovered` back until it is over", () =>
    assert.deepStrictEqual(
      told(
        [
          [0, ["stopped"]],
          [20, ["stopped"], 500],
          [30, [], 500]
        ],
        600
      ),
      ["10 stopped", "500 recovered"]
    ))
})

it("a clock that is set back holds nothing for ever", () =>
  assert.deepStrictEqual(
    told(
      [
        [1_000_000, ["stopped"]],
        [5, ["stopped"]]
      ],
      50
    ),
    ["15 stopped"]
  ))

const drifts = fc.subarray<Drift>(["missing", "stopped", "image", "unhealthy"], { maxLength: 2 })
const history = fc.array(fc.tuple(fc.integer({ min: 1, max: 200 }), drifts, fc.boolean()), { maxLength: 60 })

it("whatever happens: never more than one alert of a kind within the cooldown unless all was well between, none while silent, and `recovered` only after an alert", () =>
  fc.assert(
    fc.property(history, (steps) => {
      let state: Watched = calm
      let now = 0
      const last = new Map<AlertKind, number>()
      let open = false
      for (const [after, drift, silent] of steps) {
        now += after
        const step = nextStep(state, drift, now, settings, silent ? now + 1 : undefined)
        state = step.state
        assert.isTrue(step.wakeAt === undefined || step.wakeAt > now)
        assert.isAtMost(state.left.length, settings.flapThreshold)
        if (silent) assert.deepStrictEqual(step.alerts, [])
        for (const kind of step.alerts) {
          if (kind === "recovered") {
            assert.isTrue(open)
            assert.deepStrictEqual(drift, [])
            open = false
            last.clear()
            continue
          }
          open = true
          const before = last.get(kind)
          const least = kind === "flapping" ? settings.flapWindow : settings.cooldown
          // A kind that ended and began again while another lasted is another drift.
          if (before !== undefined && kind === "flapping") assert.isAtLeast(now - before, least)
          last.set(kind, now)
        }
      }
    })
  ))
