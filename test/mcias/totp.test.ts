import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc, Redacted } from "effect"
import * as Totp from "../../src/mcias/totp.ts"

// The secret of RFC 6238, appendix B: "12345678901234567890".
const secret = Redacted.make("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
const vectors = [
  [59, "94287082"],
  [1_111_111_109, "07081804"],
  [1_111_111_111, "14050471"],
  [1_234_567_890, "89005924"],
  [2_000_000_000, "69279037"],
  [20_000_000_000, "65353130"]
] as const
const time = fc.integer({ min: 1_000_000, max: 4_000_000_000_000 })

describe("a TOTP code", () => {
  for (const [seconds, code] of vectors) {
    it(`is that of RFC 6238 at ${seconds} s`, () => {
      assert.strictEqual(Totp.codeOf(secret, Totp.stepAt(seconds * 1000), 8), code)
      assert.strictEqual(Totp.codeOf(secret, Totp.stepAt(seconds * 1000)), code.slice(2))
    })
  }

  it("counts in its own step, the one before and the one after, and no further away", () => {
    fc.assert(
      fc.property(time, fc.integer({ min: -4, max: 4 }), (now, off) => {
        const step = Totp.stepAt(now) + off
        const code = Totp.codeOf(secret, step)
        const near = [-1, 0, 1].filter((by) => Totp.codeOf(secret, Totp.stepAt(now) + by) === code)
        const found = Totp.stepOf(secret, Redacted.make(code), now)
        if (Math.abs(off) <= 1) assert.include(near, off)
        assert.strictEqual(found, near[0] === undefined ? undefined : Totp.stepAt(now) + near[0])
      })
    )
  })

  it("may be typed in two parts, and whatever else is typed is none", () => {
    const code = Totp.codeOf(secret, Totp.stepAt(59_000))
    assert.strictEqual(Totp.stepOf(secret, Redacted.make(`${code.slice(0, 3)} ${code.slice(3)}`), 59_000), 1)
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^\d{6}$/.test(text.replaceAll(" ", "")))
        assert.isUndefined(Totp.stepOf(secret, Redacted.make(text), 59_000))
      })
    )
  })
})

describe("a new secret", () => {
  it("is 160 bits in base32 and another each time", () => {
    const all = Array.from({ length: 50 }, () => Redacted.value(Totp.newSecret()))
    for (const one of all) assert.match(one, /^[A-Z2-7]{32}$/)
    assert.strictEqual(new Set(all).size, 50)
    // Every letter comes up: the bytes are spread over all of them.
    assert.strictEqual(new Set(all.join("")).size, 32)
  })

  it("goes to the authenticator as an otpauth URI", () => {
    const uri = new URL(Totp.uriOf(secret, "root@example.net", "https://mcias.example:8443"))
    assert.strictEqual(uri.protocol, "otpauth:")
    assert.strictEqual(uri.host, "totp")
    assert.strictEqual(decodeURIComponent(uri.pathname), "/mcias.example 8443:root@example.net")
    assert.deepStrictEqual(Object.fromEntries(uri.searchParams), {
      secret: Redacted.value(secret),
      issuer: "mcias.example 8443",
      algorithm: "SHA1",
      digits: "6",
      period: "30"
    })
  })
})
