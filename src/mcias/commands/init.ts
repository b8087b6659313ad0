import { Command, Options } from "@effect/cli"
import { Console, Effect } from "effect"
import { Accounts } from "../Accounts.ts"
import * as Home from "../Home.ts"
import { dir, withStore } from "./shared.ts"

export const init = Command.make(
  "init",
  {
    dir,
    issuer: Options.text("issuer").pipe(
      Options.withDescription("What tokens name as their issuer, such as https://mcias.example:8443"),
      Options.withDefault("mcp-mcias")
    )
  },
  Effect.fn("mcias.init")(function* ({ dir, issuer }) {
    const made = yield* Home.prepare(dir)
    const kept = yield* Effect.flatMap(Accounts, (accounts) => accounts.setIssuer(issuer)).pipe(withStore(dir))
    yield* Console.log(
      made
        ? `made an identity database in ${dir}, issuer ${kept}`
        : `${dir} is there already, issuer ${kept}; left as it is`
    )
  })
).pipe(Command.withDescription("Make the folder, database and signing key"))
