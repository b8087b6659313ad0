import { HttpClient } from "@effect/platform"
import { Effect, Layer, Redacted } from "effect"
import type { MciasSettingsInvalid } from "../services/IdentityError.ts"
import { Mcias, MciasBusy, MciasUnavailable } from "../services/Mcias.ts"
import * as MciasHttp from "./mciasHttp.ts"
import { callerOf, inspect } from "./mciasToken.ts"

const make = (settings: MciasHttp.MciasSettings) =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const unavailable = (error: MciasHttp.Unanswered): Effect.Effect<never, MciasBusy | MciasUnavailable> =>
      error.limited
        ? new MciasBusy({ server: settings.serverUrl })
        : new MciasUnavailable({ server: settings.serverUrl, why: error.why, cause: error.cause })
    return Mcias.of({
      login: (credentials) =>
        MciasHttp.login(client, settings, credentials).pipe(
          Effect.map((body) => ({ token: Redacted.make(body.token), expiresAt: body.expires_at })),
          Effect.catchTag("Unanswered", unavailable),
          Effect.withSpan("HttpMcias.login")
        ),
      validate: (token) =>
        Effect.gen(function* () {
          const claims = yield* inspect(token, undefined)
          return yield* callerOf(claims, yield* MciasHttp.validate(client, settings.serverUrl, token))
        }).pipe(Effect.catchTag("Unanswered", unavailable), Effect.withSpan("HttpMcias.validate"))
    })
  })

/** Over any HTTP client. */
export const layerWithClient = (settings: MciasHttp.MciasSettings): Layer.Layer<Mcias, never, HttpClient.HttpClient> =>
  Layer.effect(Mcias, make(settings))

/** Speaks MCIAS's REST API over TLS 1.3. */
export const layer = (settings: MciasHttp.MciasSettings): Layer.Layer<Mcias, MciasSettingsInvalid> =>
  Layer.provide(layerWithClient(settings), MciasHttp.layerClient(settings))
