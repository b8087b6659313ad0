import { Clock, Effect, Redacted } from "effect"
import { codeOf, newSecret, stepAt } from "../../src/mcias/totp.ts"
import { type Answer, PASSWORD, TestServer } from "./server.ts"

type Token = Redacted.Redacted<string> | string
const plain = (token: Token) => (Redacted.isRedacted(token) ? Redacted.value(token) : token)

export const send = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  Effect.flatMap(TestServer, ({ send }) =>
    Effect.promise(() => send(method, path, body === undefined ? undefined : JSON.stringify(body), headers))
  )
const withToken = (path: string, token: Token) =>
  send("POST", path, undefined, { authorization: `Bearer ${plain(token)}` })

export const login = (username: string, password = PASSWORD, totp_code?: string) =>
  send("POST", "/v1/auth/login", { username, password, totp_code })
export const renew = (token: Token) => withToken("/v1/auth/renew", token)
export const validate = (token: Token) => Effect.map(withToken("/v1/token/validate", token), ({ body }) => body)
export const isValid = (token: Token) =>
  Effect.map(validate(token), (body) => (body as { readonly valid: boolean }).valid)

export const tokenIn = (answer: Answer) => (answer.body as { readonly token: string }).token
export const errorIn = (answer: Answer) => (answer.body as { readonly error: string }).error

/** Gives an account a second factor, and an authenticator: the code of now, or of so many steps later. */
export const enrol = (username: string) =>
  Effect.gen(function* () {
    const { accounts } = yield* TestServer
    const { account } = yield* Effect.flatten(accounts.byName(username))
    const secret = newSecret()
    yield* accounts.enrolTotp(account.id, secret)
    return (later = 0) => Effect.map(Clock.currentTimeMillis, (now) => codeOf(secret, stepAt(now) + later))
  })
