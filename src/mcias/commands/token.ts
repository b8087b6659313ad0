import { Args, Command, Options } from "@effect/cli"
import { Clock, Console, Effect, Option, Redacted } from "effect"
import { Username } from "../Account.ts"
import { Accounts } from "../Accounts.ts"
import { AccountDisabled, NotASystemAccount, TokenUnknown, WrongUsage } from "../Failure.ts"
import * as Home from "../Home.ts"
import { expiryOf } from "../standing.ts"
import { TokenRecords } from "../TokenRecords.ts"
import { account, dir, find, json, table, tokens, utc, withStore } from "./shared.ts"

const issue = Command.make(
  "issue",
  {
    account,
    dir,
    out: Options.text("out").pipe(
      Options.withDescription("Write the token to this file, mode 0600, and not to the terminal"),
      Options.optional
    )
  },
  Effect.fn("mcias.token.issue")(function* ({ account, dir, out }) {
    const { expiresAt, token } = yield* Effect.gen(function* () {
      const { account: found } = yield* find(account)
      if (found.kind !== "system") return yield* new NotASystemAccount({ account })
      const issued = yield* (yield* tokens).issue(found)
      const added = yield* (yield* TokenRecords).add(issued.record)
      return added ? issued : yield* new AccountDisabled({ account })
    }).pipe(withStore(dir))
    if (Option.isNone(out)) return yield* Console.log(Redacted.value(token))
    yield* Home.writePrivate(out.value, `${Redacted.value(token)}\n`)
    yield* Console.log(`wrote a token for ${account} to ${out.value}; it expires at ${expiresAt.toISOString()}`)
  })
).pipe(Command.withDescription("Issue a token, good for a year, to a system account"))

const ofAccount = Options.text("account").pipe(
  Options.withSchema(Username),
  Options.withDescription("Those of one account"),
  Options.optional
)

const list = Command.make(
  "list",
  { account: ofAccount, dir, json },
  Effect.fn("mcias.token.list")(function* ({ account, dir, json }) {
    const all = yield* Effect.gen(function* () {
      const owners = Option.isSome(account) ? [(yield* find(account.value)).account] : yield* (yield* Accounts).list
      const records = yield* (yield* TokenRecords).list
      return owners.flatMap((owner) =>
        records
          .filter((one) => one.accountId === owner.id)
          .map((one) => ({ ...one, username: owner.username, endsAt: Math.min(one.endsAt, expiryOf(one, owner)) }))
      )
    }).pipe(withStore(dir))
    const now = yield* Clock.currentTimeMillis
    const rows = all
      .filter((one) => one.endsAt > now)
      .map((one) => ({
        jti: one.jti,
        username: one.username,
        issued_at: new Date(one.issuedAt).toISOString(),
        expires_at: new Date(one.endsAt).toISOString()
      }))
    if (json) return yield* Console.log(JSON.stringify(rows))
    yield* Console.log(
      table([
        ["NAME", "ISSUED", "EXPIRES", "ID"],
        ...rows.map((row) => [row.username, utc(Date.parse(row.issued_at)), utc(Date.parse(row.expires_at)), row.jti])
      ])
    )
  })
).pipe(Command.withDescription("List the tokens that count, without showing them"))

const revoke = Command.make(
  "revoke",
  { id: Args.text({ name: "id" }).pipe(Args.optional), account: ofAccount, dir },
  Effect.fn("mcias.token.revoke")(function* ({ account, dir, id }) {
    if (Option.isSome(id) === Option.isSome(account)) {
      return yield* new WrongUsage({ why: "give either the id of a token or --account NAME" })
    }
    const done = yield* Effect.gen(function* () {
      const records = yield* TokenRecords
      if (Option.isSome(account)) {
        yield* records.revokeAll((yield* find(account.value)).account.id)
        return `revoked the tokens of ${account.value}`
      }
      const jti = Option.getOrElse(id, () => "")
      const counted = Option.getOrUndefined(yield* records.revoke(jti))
      if (counted === undefined) return yield* new TokenUnknown({ jti })
      return counted ? `revoked ${jti}` : `${jti} counts no more already`
    }).pipe(withStore(dir))
    yield* Console.log(done)
  })
).pipe(Command.withDescription("Refuse one token, or all of an account, from now on"))

export const tokenCommands = Command.make("token").pipe(
  Command.withDescription("Tokens that are out, and new ones for programs"),
  Command.withSubcommands([issue, list, revoke])
)
