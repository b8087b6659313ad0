import { Args, Command } from "@effect/cli"
import { Console, Effect } from "effect"
import { Role } from "../Account.ts"
import { Accounts } from "../Accounts.ts"
import { LastRole } from "../Failure.ts"
import { account, dir, find, findPerson, withStore } from "./shared.ts"

const role = Args.text({ name: "role" }).pipe(Args.withSchema(Role))

/** Changes the roles of a person; answers whether that changed anything, and what they are then. */
const change = (
  name: string,
  act: (accounts: Accounts["Type"], id: string) => ReturnType<Accounts["Type"]["giveRole"]>
) =>
  Effect.gen(function* () {
    const { account } = yield* findPerson(name, "roles")
    const changed = yield* act(yield* Accounts, account.id)
    return { changed, roles: (yield* find(name)).account.roles }
  })

const set = Command.make(
  "set",
  { account, role, dir },
  Effect.fn("mcias.role.set")(function* ({ account, dir, role }) {
    const { changed, roles } = yield* change(account, (accounts, id) => accounts.giveRole(id, role)).pipe(
      withStore(dir)
    )
    yield* Console.log(`${account} ${changed ? "now has" : "already had"} the role ${role} (${roles.join(", ")})`)
  })
).pipe(Command.withDescription("Give a person a role"))

const unset = Command.make(
  "unset",
  { account, role, dir },
  Effect.fn("mcias.role.unset")(function* ({ account, dir, role }) {
    const { changed, roles } = yield* change(account, (accounts, id) => accounts.takeRole(id, role)).pipe(
      withStore(dir)
    )
    if (!changed && roles.includes(role)) return yield* new LastRole({ account, role })
    yield* Console.log(
      `${account} ${changed ? "no longer has" : "did not have"} the role ${role} (${roles.join(", ")})`
    )
  })
).pipe(Command.withDescription("Take a role from a person"))

export const roles = Command.make("role").pipe(
  Command.withDescription("Roles of people; they count at once, for tokens that are out too"),
  Command.withSubcommands([set, unset])
)
