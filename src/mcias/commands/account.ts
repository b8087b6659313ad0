import { Command, Options } from "@effect/cli"
import { Clock, Console, Effect, Option, Schema } from "effect"
import { Role, roleForm, stateOf } from "../Account.ts"
import { Accounts } from "../Accounts.ts"
import { WrongUsage } from "../Failure.ts"
import * as PasswordInput from "../passwordInput.ts"
import * as Passwords from "../passwords.ts"
import { account, dir, find, findPerson, json, table, utc, withStore } from "./shared.ts"

const passwordFile = Options.text("password-file").pipe(
  Options.withDescription("A file that holds the password"),
  Options.optional
)
const passwordStdin = Options.boolean("password-stdin").pipe(
  Options.withDescription("Read the password from standard input")
)

const add = Command.make(
  "add",
  {
    account,
    dir,
    role: Options.text("role").pipe(
      Options.withDescription("admin, user, guest or one of your own; may be repeated. Default: user"),
      Options.repeated
    ),
    system: Options.boolean("system").pipe(Options.withDescription("For a program: no password and no roles")),
    passwordFile,
    passwordStdin
  },
  Effect.fn("mcias.account.add")(function* ({ account, dir, passwordFile, passwordStdin, role, system }) {
    const odd = role.find((one) => !Schema.is(Role)(one))
    if (odd !== undefined) return yield* new WrongUsage({ why: `${JSON.stringify(odd)} is no ${roleForm}` })
    if (system && role.length > 0) return yield* new WrongUsage({ why: "a system account carries no roles" })
    if (system && (passwordStdin || Option.isSome(passwordFile))) {
      return yield* new WrongUsage({
        why: "a system account has no password; it gets a token by mcp-mcias token issue"
      })
    }
    const added = yield* Effect.gen(function* () {
      const accounts = yield* Accounts
      if (system) return yield* accounts.add({ username: account, kind: "system", roles: [] })
      const password = yield* PasswordInput.read({ file: passwordFile, stdin: passwordStdin })
      return yield* accounts.add({
        username: account,
        kind: "human",
        roles: role.length === 0 ? ["user"] : [...new Set(role)],
        passwordHash: yield* Passwords.hash(password)
      })
    }).pipe(withStore(dir))
    yield* Console.log(`added ${added.kind} account ${added.username} (${added.roles.join(", ") || "no roles"})`)
  })
).pipe(Command.withDescription("Add an account for a person or, with --system, a program"))

const list = Command.make(
  "list",
  { dir, json },
  Effect.fn("mcias.account.list")(function* ({ dir, json }) {
    const all = yield* Effect.flatMap(Accounts, (accounts) => accounts.list).pipe(withStore(dir))
    const now = yield* Clock.currentTimeMillis
    const rows = all.map((one) => ({
      id: one.id,
      username: one.username,
      kind: one.kind,
      state: stateOf(one, now),
      ...(one.lockedUntil > now ? { locked_until: new Date(one.lockedUntil).toISOString() } : {}),
      totp: one.totp,
      roles: one.roles,
      created_at: new Date(one.createdAt).toISOString()
    }))
    if (json) return yield* Console.log(JSON.stringify(rows))
    yield* Console.log(
      table([
        ["NAME", "KIND", "STATE", "TOTP", "CREATED", "ROLES"],
        ...rows.map((row) => [
          row.username,
          row.kind,
          row.state,
          row.totp ? "yes" : "-",
          utc(Date.parse(row.created_at)),
          row.roles.join(",") || "-"
        ])
      ])
    )
  })
).pipe(Command.withDescription("List the accounts"))

const password = Command.make(
  "password",
  { account, dir, passwordFile, passwordStdin },
  Effect.fn("mcias.account.password")(function* ({ account, dir, passwordFile, passwordStdin }) {
    yield* Effect.gen(function* () {
      const { account: found } = yield* findPerson(account, "password")
      const password = yield* PasswordInput.read({ file: passwordFile, stdin: passwordStdin })
      yield* (yield* Accounts).setPassword(found.id, yield* Passwords.hash(password))
    }).pipe(withStore(dir))
    yield* Console.log(`changed the password of ${account}; its tokens count no more`)
  })
).pipe(Command.withDescription("Set a new password, end a lock, and revoke the account's tokens"))

const disable = Command.make(
  "disable",
  { account, dir },
  Effect.fn("mcias.account.disable")(function* ({ account, dir }) {
    const disabled = yield* Effect.gen(function* () {
      const { account: found } = yield* find(account)
      return yield* (yield* Accounts).disable(found.id)
    }).pipe(withStore(dir))
    yield* Console.log(disabled ? `disabled ${account}; its tokens count no more` : `${account} is disabled already`)
  })
).pipe(Command.withDescription("Refuse an account's logins and revoke its tokens"))

const enable = Command.make(
  "enable",
  { account, dir },
  Effect.fn("mcias.account.enable")(function* ({ account, dir }) {
    const [enabled, kind] = yield* Effect.gen(function* () {
      const { account: found } = yield* find(account)
      return [yield* (yield* Accounts).enable(found.id), found.kind] as const
    }).pipe(withStore(dir))
    const next = kind === "human" ? "log in again" : `get a new token: mcp-mcias token issue ${account} --dir ${dir}`
    yield* Console.log(enabled ? `enabled ${account}; it has to ${next}` : `${account} is enabled already`)
  })
).pipe(Command.withDescription("Let a disabled account log in again"))

const unlock = Command.make(
  "unlock",
  { account, dir },
  Effect.fn("mcias.account.unlock")(function* ({ account, dir }) {
    const locked = yield* Effect.gen(function* () {
      const { account: found } = yield* find(account)
      return yield* (yield* Accounts).unlock(found.id)
    }).pipe(withStore(dir))
    yield* Console.log(locked ? `unlocked ${account}` : `${account} is not locked`)
  })
).pipe(Command.withDescription("End the lock that too many refused logins brought"))

export const accounts = Command.make("account").pipe(
  Command.withDescription("People and programs"),
  Command.withSubcommands([add, list, password, disable, enable, unlock])
)
