import { assert, describe, it } from "@effect/vitest"
import { Duration, FastCheck as fc } from "effect"
import { LONGEST, lifetimeOf } from "../../src/mcias/lifetimes.ts"

const roles = fc.array(fc.constantFrom("admin", "user", "guest", "administrator", "deployer"))

describe("a token lives", () => {
  it("8 hours for whoever is an admin, 30 days for other people", () =>
    fc.assert(
      fc.property(roles, (roles) => {
        const hours = roles.includes("admin") ? 8 : 30 * 24
        assert.strictEqual(Duration.toHours(lifetimeOf({ kind: "human", roles })), hours)
      })
    ))

  it("a year for programs, which is the longest", () => {
    assert.strictEqual(Duration.toDays(lifetimeOf({ kind: "system", roles: [] })), 365)
    assert.strictEqual(Duration.toDays(LONGEST), 365)
  })
})
