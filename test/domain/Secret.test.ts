import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "effect/FastCheck"
import { keyBytes, nonceBytes, type SecretPlace, seal, unseal } from "../../src/domain/Secret.ts"

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const place = fc.record({
  service: fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/),
  secret: fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,10}$/),
  version: fc.integer({ min: 1, max: 9 })
})
const value = fc.uint8Array({ minLength: 1, maxLength: 300 })
const opened = (key: Uint8Array, at: SecretPlace, text: string) =>
  Either.getOrUndefined(Either.map(unseal(key, at, text), (each) => [...each]))

describe("a sealed value", () => {
  it("is had back with its key, at its place", () => {
    fc.assert(
      fc.property(bytes(keyBytes), place, value, bytes(nonceBytes), (key, at, value, nonce) => {
        const text = seal(key, at, value, nonce)
        assert.deepStrictEqual(opened(key, at, text), [...value])
        if (value.length > 8) assert.isFalse(Buffer.from(text.slice(2), "base64").includes(Buffer.from(value)))
      })
    )
  })

  it("is not had with another key, nor at another place", () => {
    fc.assert(
      fc.property(
        bytes(keyBytes),
        bytes(keyBytes),
        place,
        place,
        value,
        bytes(nonceBytes),
        (key, other, at, to, v, n) => {
          const text = seal(key, at, v, n)
          fc.pre(Buffer.compare(key, other) !== 0 && JSON.stringify(at) !== JSON.stringify(to))
          assert.isUndefined(opened(other, at, text))
          assert.isUndefined(opened(key, to, text))
          for (const change of [{ service: "x" }, { secret: "x" }, { version: at.version + 1 }]) {
            const near = { ...at, ...change }
            if (JSON.stringify(near) !== JSON.stringify(at)) assert.isUndefined(opened(key, near, text))
          }
        }
      )
    )
  })

  it("is not had once a bit of it is another, or its end is missing", () => {
    fc.assert(
      fc.property(bytes(keyBytes), place, value, bytes(nonceBytes), fc.nat(), (key, at, value, nonce, where) => {
        const sealed = Buffer.from(seal(key, at, value, nonce).slice(2), "base64")
        const changed = Buffer.from(sealed)
        const bit = where % (sealed.length * 8)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        assert.isUndefined(opened(key, at, `1:${changed.toString("base64")}`))
        assert.isUndefined(opened(key, at, `1:${sealed.subarray(0, where % sealed.length).toString("base64")}`))
        assert.isUndefined(opened(key, at, `2:${sealed.toString("base64")}`))
      })
    )
  })
})
