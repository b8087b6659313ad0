import { Clock, Effect, Layer, Redacted, Ref } from "effect"
import { type Caller, Identity } from "../services/Identity.ts"
import { IdentityUnavailable, TokenExpired, TokenInvalid, TokenMissing } from "../services/IdentityError.ts"

/** Knows the given tokens. While `down` holds true, MCIAS is out of reach. */
export const layer = (callers: Readonly<Record<string, Caller>>, down?: Ref.Ref<boolean>): Layer.Layer<Identity> =>
  Layer.succeed(Identity, {
    validate: (token) =>
      Effect.gen(function* () {
        if (down !== undefined && (yield* Ref.get(down))) {
          return yield* new IdentityUnavailable({ server: "fake", why: "it is down" })
        }
        const value = Redacted.value(token)
        if (value === "") return yield* new TokenMissing()
        const caller = Object.hasOwn(callers, value) ? callers[value] : undefined
        if (caller === undefined) return yield* new TokenInvalid({ why: "MCIAS does not know it" })
        if (caller.expiresAt <= (yield* Clock.currentTimeMillis)) {
          return yield* new TokenExpired({ expiredAt: caller.expiresAt })
        }
        return caller
      })
  })
