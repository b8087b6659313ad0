import { Clock, Effect, Random } from "effect"

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

/** A ULID: 10 characters of time and 16 of chance, in Crockford's base 32 (github.com/ulid/spec); sorts by time. */
export const make: Effect.Effect<string> = Effect.gen(function* () {
  let time = yield* Clock.currentTimeMillis
  let head = ""
  for (let i = 0; i < 10; i++) {
    head = alphabet[time % 32] + head
    time = Math.floor(time / 32)
  }
  let tail = ""
  for (let i = 0; i < 16; i++) tail += alphabet[yield* Random.nextIntBetween(0, 32)]
  return head + tail
})

const form = /^[0-9A-HJKMNP-TV-Z]{26}$/

export const is = (text: string): boolean => form.test(text)
