import { Clock, Effect, Option, Redacted, Schema } from "effect"
import { type Account, stateOf } from "./Account.ts"
import { Accounts } from "./Accounts.ts"
import * as Passwords from "./passwords.ts"
import { decoded, type Handler, type Reply, refusal } from "./reply.ts"
import { TokenRecords } from "./TokenRecords.ts"
import type { Issued, Tokens } from "./tokens.ts"
import * as Totp from "./totp.ts"

const Body = Schema.Struct({
  username: Schema.String,
  password: Schema.Redacted(Schema.String),
  totp_code: Schema.optional(Schema.Redacted(Schema.String)),
  service_name: Schema.optional(Schema.String),
  tags: Schema.optional(Schema.Unknown)
})

// One answer for an unknown name, a wrong password, a wrong or used code, and a locked account.
const refused = refusal(401, "wrong username or password")

export const issued = ({ expiresAt, token }: Issued, account: Account): Reply => ({
  status: 200,
  body: { token: Redacted.value(token), expires_at: expiresAt.toISOString() },
  account: account.username
})

/** `POST /v1/auth/login` */
export const make = (tokens: Tokens) =>
  Effect.gen(function* () {
    const accounts = yield* Accounts
    const records = yield* TokenRecords
    const decoy = yield* Passwords.decoy

    const refuse = (account: Account) =>
      Effect.gen(function* () {
        const locked = yield* accounts.countFailure(account.id)
        if (locked) {
          yield* Effect.annotateLogs(Effect.logWarning("account locked: too many refused logins"), {
            account: account.username
          })
        }
        return { ...refused, account: account.username }
      })

    const handle: Handler = (request) =>
      Effect.gen(function* () {
        const body = yield* decoded(Body, yield* request.body, "expected {username, password} as strings")
        const found = Option.getOrUndefined(yield* accounts.byName(body.username))
        // Hashing comes first in every case, so that the time does not tell which names exist.
        const right = yield* Passwords.matches(found?.passwordHash ?? decoy, body.password)
        if (found === undefined) return refused
        const { account, passwordHash, totpSecret } = found
        const about = { account: account.username }
        const now = yield* Clock.currentTimeMillis
        if (passwordHash === undefined || account.lockedUntil > now) return { ...refused, ...about }
        if (!right) return yield* refuse(account)
        let totpStep: number | undefined
        if (totpSecret !== undefined) {
          const code = body.totp_code
          if (code === undefined || Redacted.value(code) === "") {
            return { ...refusal(401, "a TOTP code is required"), ...about }
          }
          totpStep = Totp.stepOf(totpSecret, code, now)
          if (totpStep === undefined) return yield* refuse(account)
        }
        if (stateOf(account, now) === "disabled") return { ...refusal(403, "the account is disabled"), ...about }
        const token = yield* tokens.issue(account)
        const admitted = yield* records.admit(token.record, { passwordHash, totpStep })
        return admitted ? issued(token, account) : yield* refuse(account)
      })
    return handle
  })
