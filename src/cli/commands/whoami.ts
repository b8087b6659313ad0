import { Command } from "@effect/cli"
import { Effect } from "effect"
import { Mcias } from "../../services/Mcias.ts"
import { TokenStore } from "../../services/TokenStore.ts"
import * as Json from "../json.ts"
import { answer, look } from "../output.ts"
import { stamp, uptime } from "../time.ts"

export const whoami = Command.make(
  "whoami",
  {},
  Effect.fn("cli.whoami")(function* () {
    const token = yield* (yield* TokenStore).read
    const caller = yield* (yield* Mcias).validate(token)
    const { now } = yield* look
    const value = {
      account: caller.username,
      id: caller.account,
      type: caller.accountType,
      roles: caller.roles,
      expires_at: new Date(caller.expiresAt),
      expires_in_ms: Math.max(0, caller.expiresAt - now.getTime())
    }
    yield* answer(Json.Account, value, () => [
      `account  ${value.account} (${value.type})`,
      `roles    ${value.roles.join(", ") || "none"}`,
      `expires  ${stamp(value.expires_at)}, in ${uptime(value.expires_in_ms)}`
    ])
  })
).pipe(Command.withDescription("The account, its roles, and when the token expires"))
