import { Command, Options } from "@effect/cli"
import { Console, Effect, Option } from "effect"
import { Accounts } from "../Accounts.ts"
import { TotpEnrolled } from "../Failure.ts"
import * as Home from "../Home.ts"
import * as Totp from "../totp.ts"
import { account, dir, findPerson, json, withStore } from "./shared.ts"

const enrol = Command.make(
  "enrol",
  {
    account,
    dir,
    json,
    out: Options.text("out").pipe(
      Options.withDescription("Write the otpauth URI to this file, mode 0600, and not to the terminal"),
      Options.optional
    )
  },
  Effect.fn("mcias.totp.enrol")(function* ({ account, dir, json, out }) {
    yield* Effect.gen(function* () {
      const accounts = yield* Accounts
      const { account: found } = yield* findPerson(account, "second factor")
      if (found.totp) return yield* new TotpEnrolled({ account })
      const secret = Totp.newSecret()
      const uri = Totp.uriOf(secret, account, yield* accounts.issuer)
      // Before the enrolment: with a file that cannot be written, the secret would be nowhere and the account shut.
      if (Option.isSome(out)) yield* Home.writePrivate(out.value, `${uri}\n`)
      if (!(yield* accounts.enrolTotp(found.id, secret))) return yield* new TotpEnrolled({ account })
      const done = `${account} needs a TOTP code to log in from now on`
      if (Option.isSome(out)) {
        return yield* json
          ? Console.log(JSON.stringify({ account, file: out.value }))
          : Console.log(`${done}; the URI for the authenticator is in ${out.value}`)
      }
      if (json) return yield* Console.log(JSON.stringify({ account, uri }))
      // Alone on standard output, so that a pipe makes a QR code of it.
      yield* Console.error(`${done}. This is shown once; give it to the authenticator:`)
      yield* Console.log(uri)
    }).pipe(withStore(dir))
  })
).pipe(Command.withDescription("Give a person a second factor; its otpauth URI is shown once"))

const remove = Command.make(
  "remove",
  { account, dir },
  Effect.fn("mcias.totp.remove")(function* ({ account, dir }) {
    const removed = yield* Effect.gen(function* () {
      const { account: found } = yield* findPerson(account, "second factor")
      return yield* (yield* Accounts).removeTotp(found.id)
    }).pipe(withStore(dir))
    yield* Console.log(removed ? `removed the second factor of ${account}` : `${account} has no second factor`)
  })
).pipe(Command.withDescription("Take a person's second factor away"))

export const totp = Command.make("totp").pipe(
  Command.withDescription("Second factors of people"),
  Command.withSubcommands([enrol, remove])
)
