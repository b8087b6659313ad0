import { createHash } from "node:crypto"
import { HttpClient } from "@effect/platform"
import { Clock, Deferred, Effect, Layer, Redacted } from "effect"
import { type Caller, Identity } from "../services/Identity.ts"
import { type IdentityError, IdentityUnavailable, type MciasSettingsInvalid } from "../services/IdentityError.ts"
import { layerClient, type MciasSettings, type Unanswered, validate } from "./mciasHttp.ts"
import * as Limits from "./mciasLimits.ts"
import { type Claims, callerOf, inspect } from "./mciasToken.ts"

const KEPT_MS = 30_000
const MAX_KEPT = 10_000

export interface IdentitySettings extends MciasSettings {
  /** The `iss` that tokens must carry; any when absent. */
  readonly issuer?: string
  /** How many answers are kept at most. */
  readonly capacity?: number
}

/** Positive answers for 30 s and never beyond the token's expiry, by digest; the oldest leaves when there are too many. */
const makeCache = (capacity: number) => {
  const kept = new Map<string, { readonly caller: Caller; readonly until: number }>()
  return {
    get: (digest: string, now: number): Caller | undefined => {
      const entry = kept.get(digest)
      if (entry === undefined || now < entry.until) return entry?.caller
      kept.delete(digest)
      return undefined
    },
    put: (digest: string, caller: Caller, now: number) => {
      kept.delete(digest)
      kept.set(digest, { caller, until: Math.min(now + KEPT_MS, caller.expiresAt) })
      for (const oldest of kept.keys()) {
        if (kept.size <= capacity) break
        kept.delete(oldest)
      }
    }
  }
}

const make = (settings: IdentitySettings) =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const scope = yield* Effect.scope
    const cache = makeCache(settings.capacity ?? MAX_KEPT)
    const inFlight = new Map<string, Deferred.Deferred<Caller, IdentityError>>()
    const limited = Limits.make<IdentityError | Unanswered>(
      (error) =>
        error._tag === "TokenInvalid" || error._tag === "TokenExpired" || (error._tag === "Unanswered" && error.limited)
    )
    const unavailable = (error: Unanswered) =>
      new IdentityUnavailable({ server: settings.serverUrl, why: error.why, cause: error.cause })

    const ask = (token: Redacted.Redacted<string>, claims: Claims, digest: string, address: string) =>
      limited(
        address,
        Effect.flatMap(validate(client, settings.serverUrl, token), (answer) => callerOf(claims, answer))
      ).pipe(
        Effect.catchTag("Unanswered", unavailable),
        // The turn is waited for within the same bound.
        Effect.timeoutFail({
          duration: "5 seconds",
          onTimeout: () => new IdentityUnavailable({ server: settings.serverUrl, why: "it did not answer in time" })
        }),
        Effect.tap((caller) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            cache.put(digest, caller, now)
          })
        ),
        Effect.withSpan("MciasIdentity.ask", { attributes: { peer: address } })
      )

    // The look-up runs in the layer's scope and not in the first caller's fiber: whoever hangs up, the others get the answer.
    const joined = (token: Redacted.Redacted<string>, claims: Claims, digest: string, address: string) =>
      Effect.suspend(() => {
        const running = inFlight.get(digest)
        if (running !== undefined) return Deferred.await(running)
        return Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            const flight = yield* Deferred.make<Caller, IdentityError>()
            inFlight.set(digest, flight)
            yield* Effect.interruptible(ask(token, claims, digest, address)).pipe(
              Effect.onExit((exit) =>
                Effect.suspend(() => {
                  inFlight.delete(digest)
                  return Deferred.done(flight, exit)
                })
              ),
              Effect.forkIn(scope)
            )
            return yield* restore(Deferred.await(flight))
          })
        )
      })

    const validateToken = (token: Redacted.Redacted<string>, peer: string): Effect.Effect<Caller, IdentityError> =>
      Effect.gen(function* () {
        const digest = createHash("sha256").update(Redacted.value(token)).digest("base64")
        // What is kept was looked at before, and goes when the token expires.
        const known = cache.get(digest, yield* Clock.currentTimeMillis)
        if (known !== undefined) return known
        const claims = yield* inspect(token, settings.issuer)
        const address = Limits.addressOf(peer)
        return yield* joined(token, claims, digest, address).pipe(
          // The look-up was another peer's, and so is its limit.
          Effect.catchIf(
            (error) => error._tag === "LookupsLimited" && error.peer !== address,
            () => validateToken(token, peer)
          )
        )
      })

    return Identity.of({ validate: validateToken })
  })

/** Over any HTTP client. */
export const layerWithClient = (settings: IdentitySettings): Layer.Layer<Identity, never, HttpClient.HttpClient> =>
  Layer.scoped(Identity, make(settings))

/** Asks MCIAS, over TLS 1.3, once in 30 s for each token. */
export const layer = (settings: IdentitySettings): Layer.Layer<Identity, MciasSettingsInvalid> =>
  Layer.provide(layerWithClient(settings), layerClient(settings))
