import { Command } from "@effect/cli"
import { Effect } from "effect"
import { TokenStore } from "../../services/TokenStore.ts"
import * as Json from "../json.ts"
import { confirm } from "../output.ts"

export const logout = Command.make(
  "logout",
  {},
  Effect.fn("cli.logout")(function* () {
    const { path, remove } = yield* TokenStore
    const removed = yield* remove
    yield* confirm(Json.LoggedOut, { token_path: path, removed }, () => [
      removed ? `logged out: the token at ${path} is removed` : "not logged in: there was no token"
    ])
  })
).pipe(Command.withDescription("Remove the stored token"))
