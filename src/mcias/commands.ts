import { Args, Command, Options } from "@effect/cli"
import { Console, Effect, Option, Redacted, Schema } from "effect"
import { Role, roleForm, Username } from "./Account.ts"
import { Accounts, layer as accountsLayer } from "./Accounts.ts"
import * as Address from "./address.ts"
import * as Api from "./api.ts"
import { AccountUnknown, NotASystemAccount, WrongUsage } from "./Failure.ts"
import * as Home from "./Home.ts"
import * as PasswordInput from "./passwordInput.ts"
import * as Passwords from "./passwords.ts"
import { serve as listen } from "./server.ts"
import * as Tokens from "./tokens.ts"

const dir = Options.text("dir").pipe(Options.withDescription("The folder of the identity database and its signing key"))
const account = Args.text({ name: "name" }).pipe(Args.withSchema(Username))

/** Runs a command on the database in `dir`, which `init` must have made. */
const withAccounts =
  (dir: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.zipRight(Home.check(dir), Effect.provide(effect, accountsLayer(dir)))

const tokensIn = (dir: string) =>
  Effect.gen(function* () {
    const key = yield* Home.signingKey(dir)
    return Tokens.make(key, yield* (yield* Accounts).issuer)
  })

const init = Command.make(
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
    const kept = yield* Effect.flatMap(Accounts, (accounts) => accounts.setIssuer(issuer)).pipe(withAccounts(dir))
    yield* Console.log(
      made
        ? `made an identity database in ${dir}, issuer ${kept}`
        : `${dir} is there already, issuer ${kept}; left as it is`
    )
  })
).pipe(Command.withDescription("Make the folder, database and signing key"))

const serve = Command.make(
  "serve",
  {
    dir,
    addr: Options.text("addr").pipe(
      Options.withDescription("Where to listen, HOST:PORT; port 0 takes a free one"),
      Options.withDefault("127.0.0.1:8443")
    ),
    tlsCert: Options.text("tls-cert").pipe(Options.withDescription("Certificate with its chain, in PEM")),
    tlsKey: Options.text("tls-key").pipe(Options.withDescription("Its key, in PEM"))
  },
  Effect.fn("mcias.serve")(
    function* ({ addr, dir, tlsCert, tlsKey }) {
      const address = yield* Address.resolve(addr)
      yield* Effect.gen(function* () {
        const api = yield* Api.make(yield* tokensIn(dir))
        const bound = yield* listen(api, { address, tlsCert, tlsKey })
        yield* Effect.addFinalizer(() => Effect.logInfo("stopping"))
        yield* Effect.logInfo(`listening on ${Address.show(bound)}`)
        yield* Effect.never
      }).pipe(withAccounts(dir))
    },
    (effect) => Effect.scoped(effect)
  )
).pipe(Command.withDescription("Serve MCIAS's REST API over TLS 1.3"))

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
    passwordFile: Options.text("password-file").pipe(Options.optional),
    passwordStdin: Options.boolean("password-stdin")
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
    }).pipe(withAccounts(dir))
    yield* Console.log(`added ${added.kind} account ${added.username} (${added.roles.join(", ") || "no roles"})`)
  })
).pipe(Command.withDescription("Add an account for a person or, with --system, a program"))

const list = Command.make(
  "list",
  { dir, json: Options.boolean("json") },
  Effect.fn("mcias.account.list")(function* ({ dir, json }) {
    const all = yield* Effect.flatMap(Accounts, (accounts) => accounts.list).pipe(withAccounts(dir))
    const rows = all.map((one) => ({
      id: one.id,
      username: one.username,
      kind: one.kind,
      roles: one.roles,
      created_at: new Date(one.createdAt).toISOString()
    }))
    if (json) return yield* Console.log(JSON.stringify(rows))
    const width = Math.max(4, ...rows.map((row) => row.username.length)) + 2
    yield* Console.log(
      [["NAME".padEnd(width), "KIND    ", "CREATED               ", "ROLES"]]
        .concat(
          rows.map((row) => [
            row.username.padEnd(width),
            row.kind.padEnd(8),
            `${row.created_at.slice(0, 19)}Z  `,
            row.roles.join(",") || "-"
          ])
        )
        .map((cells) => cells.join(""))
        .join("\n")
    )
  })
).pipe(Command.withDescription("List the accounts"))

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
      const found = Option.getOrUndefined(yield* (yield* Accounts).byName(account))
      if (found === undefined) return yield* new AccountUnknown({ account })
      if (found.account.kind !== "system") return yield* new NotASystemAccount({ account })
      return yield* (yield* tokensIn(dir)).issue(found.account)
    }).pipe(withAccounts(dir))
    if (Option.isNone(out)) return yield* Console.log(Redacted.value(token))
    yield* Home.writePrivate(out.value, `${Redacted.value(token)}\n`)
    yield* Console.log(`wrote a token for ${account} to ${out.value}; it expires at ${expiresAt.toISOString()}`)
  })
).pipe(Command.withDescription("Issue a token, good for a year, to a system account"))

/** `mcp-mcias`: a small identity server for those who run no MCIAS. */
export const root = Command.make("mcp-mcias").pipe(
  Command.withDescription("A small identity server that speaks MCIAS's REST API"),
  Command.withSubcommands([
    init,
    serve,
    Command.make("account").pipe(Command.withDescription("People and programs"), Command.withSubcommands([add, list])),
    Command.make("token").pipe(Command.withDescription("Tokens of programs"), Command.withSubcommands([issue]))
  ])
)
