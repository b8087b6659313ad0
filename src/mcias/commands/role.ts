import { Args, Command } from "@effect/cli"
import { Console, Effect } from "effect"
import { type Account, Role } from "../Account.ts"
import { Accounts } from "../Accounts.ts"
import { LastRole } from "../Failure.ts"
import { account, dir, findPerson, withStore } from "./shared.ts"

const role = Args.text({ name: "role" }).pipe(Args.withSchema(Role))

/** Decides again when somebody else changed the roles meanwhile. */
const change = <E>(name: string, next: (account: Account) => Effect.Effect<ReadonlyArray<string>, E>) =>
  Effect.gen(function* () {
    const accounts = yield* Accounts
    for (;;) {
      const { account } = yield* findPerson(name, "roles")
      const roles = yield* next(account)
      if (roles.length === account.roles.length) return { changed: false, roles }
      if (yield* accounts.replaceRoles(account, roles)) return { changed: true, roles }
    }
  })

const set = Command.make(
  "set",
  { account, role, dir },
  Effect.fn("mcias.role.set")(function* ({ account, dir, role }) {
    const { changed, roles } = yield* change(account, ({ roles }) =>
      Effect.succeed(roles.includes(role) ? roles : [...roles, role])
    ).pipe(withStore(dir))
    yield* Console.log(`${account} ${changed ? "now has" : "already had"} the role ${role} (${roles.join(", ")})`)
  })
).pipe(Command.withDescription("Give a person a role"))

const unset = Command.make(
  "unset",
  { account, role, dir },
  Effect.fn("mcias.role.unset")(function* ({ account, dir, role }) {
    const { changed, roles } = yield* change(account, (found) => {
      const left = found.roles.filter((one) => one !== role)
      return left.length === 0 ? new LastRole({ account, role }) : Effect.succeed(left)
    }).pipe(withStore(dir))
    yield* Console.log(
      `${account} ${changed ? "no longer has" : "did not have"} the role ${role} (${roles.join(", ")})`
    )
  })
).pipe(Command.withDescription("Take a role from a person"))

export const roles = Command.make("role").pipe(
  Command.withDescription("Roles of people; they count at once, for tokens that are out too"),
  Command.withSubcommands([set, unset])
)
