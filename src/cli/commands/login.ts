import { Command, Options } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import { Effect, Option, Redacted } from "effect"
import { UsageError } from "../../services/CliError.ts"
import { Mcias } from "../../services/Mcias.ts"
import { TokenStore } from "../../services/TokenStore.ts"
import * as Json from "../json.ts"
import { confirm } from "../output.ts"
import { Screen } from "../Screen.ts"
import { stamp } from "../time.ts"

const username = Options.text("username").pipe(
  Options.withPseudoName("NAME"),
  Options.withAlias("u"),
  Options.optional,
  Options.withDescription("the account; asked for when absent")
)
const passwordFile = Options.text("password-file").pipe(
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription("a file that holds the password, for scripts")
)
const totp = Options.boolean("totp").pipe(Options.withDescription("ask for a TOTP code"))

const question = (what: string, text: string, hidden: boolean, instead: string) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (!screen.canAsk) {
      return yield* new UsageError({ problem: `no terminal to ask for the ${what}`, nextStep: instead })
    }
    return yield* screen.ask(text, { hidden })
  })

const passwordFrom = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    // A last newline is the editor's, not the password's.
    return Redacted.make((yield* fs.readFileString(file)).replace(/\r?\n$/, ""))
  }).pipe(
    Effect.mapError(
      () => new UsageError({ problem: `the password file ${file} cannot be read`, nextStep: `check it: ls -l ${file}` })
    )
  )

const example = "mcp login --username NAME --password-file FILE"

const code = Effect.map(
  question("TOTP code", "TOTP code: ", false, "log in from a terminal: the account has a second factor"),
  (code) => Redacted.make(code.trim())
)

export const login = Command.make(
  "login",
  { username, passwordFile, totp },
  Effect.fn("cli.login")(function* (options) {
    const mcias = yield* Mcias
    const store = yield* TokenStore
    const name = Option.isSome(options.username)
      ? options.username.value
      : (yield* question("user name", "Username: ", false, example)).trim()
    if (name === "") return yield* new UsageError({ problem: "the user name is empty", nextStep: example })
    const password = Option.isSome(options.passwordFile)
      ? yield* passwordFrom(options.passwordFile.value)
      : Redacted.make(yield* question("password", `Password of ${name}: `, true, example))
    if (Redacted.value(password) === "") {
      return yield* new UsageError({ problem: "the password is empty", nextStep: example })
    }
    const withCode = Effect.flatMap(code, (totp) => mcias.login({ username: name, password, totp }))
    const screen = yield* Screen
    const { expiresAt, token } = yield* options.totp
      ? withCode
      : mcias
          .login({ username: name, password })
          .pipe(Effect.catchTag("TotpRequired", (error) => (screen.canAsk ? withCode : Effect.fail(error))))
    yield* store.write(token)
    yield* confirm(Json.LoggedIn, { account: name, expires_at: expiresAt, token_path: store.path }, () => [
      `logged in as ${name} until ${stamp(expiresAt)}`
    ])
  })
).pipe(Command.withDescription("Get a token from MCIAS and store it"))
