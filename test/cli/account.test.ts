import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TokenExpired } from "../../src/services/IdentityError.ts"
import {
  type Credentials,
  type LoginError,
  LoginForbidden,
  LoginRefused,
  MciasBusy,
  MciasUnavailable,
  TotpRequired
} from "../../src/services/Mcias.ts"
import { temporaryFolder } from "../support/folder.ts"
import { mcp } from "./support.ts"

const expiresAt = new Date(Date.UTC(2026, 11, 25, 12))
const accepting = (seen: Array<readonly [string, string, string | undefined]>, totp = false) => ({
  login: (c: Credentials) =>
    Effect.gen(function* () {
      const code = c.totp === undefined ? undefined : Redacted.value(c.totp)
      seen.push([c.username, Redacted.value(c.password), code])
      if (totp && code === undefined) return yield* new TotpRequired({ username: c.username })
      return { token: Redacted.make("fresh"), expiresAt }
    })
})

const passwordFile = () => {
  const file = join(temporaryFolder(), "password")
  writeFileSync(file, "hunter2\n")
  return file
}

describe("login", () => {
  it.effect("asks on a terminal and stores the token", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [string, string, string | undefined]> = []
      const ran = yield* mcp(["login"], {
        tty: true,
        answers: ["admin", "hunter2"],
        token: undefined,
        mcias: accepting(seen)
      })
      assert.deepStrictEqual([ran.code, ran.out], [0, "logged in as admin until 2026-12-25T12:00:00Z\n"])
      assert.deepStrictEqual(ran.questions, ["Username: ", "Password of admin: "])
      assert.deepStrictEqual(seen, [["admin", "hunter2", undefined]])
      assert.strictEqual(ran.token, "fresh")
    })
  )

  it.effect("takes the password from a file", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [string, string, string | undefined]> = []
      const argv = ["login", "--username", "admin", "--password-file", passwordFile()]
      const ran = yield* mcp(argv, { mcias: accepting(seen) })
      assert.deepStrictEqual([ran.code, seen], [0, [["admin", "hunter2", undefined]]])
      const json = yield* mcp([...argv, "--json"], { mcias: accepting([]) })
      assert.deepStrictEqual(json.json, {
        account: "admin",
        expires_at: "2026-12-25T12:00:00.000Z",
        token_path: "/home/me/token"
      })
      const missing = yield* mcp(["login", "--username", "admin", "--password-file", "/none"], { mcias: accepting([]) })
      assert.deepStrictEqual(
        [missing.code, missing.err.split("\n")[0]],
        [2, "mcp: the password file /none cannot be read"]
      )
    })
  )

  it.effect("without a terminal and a file says what to give", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["login", "--username", "admin"], { mcias: accepting([]) })
      assert.deepStrictEqual(
        [ran.code, ran.err],
        [2, "mcp: no terminal to ask for the password\n  next: mcp login --username NAME --password-file FILE\n"]
      )
      const empty = yield* mcp(["login", "--username", "admin"], { tty: true, answers: [""], mcias: accepting([]) })
      assert.strictEqual(empty.code, 2)
      const nobody = yield* mcp(["login"], { mcias: accepting([]) })
      assert.match(nobody.err, /no terminal to ask for the user name/)
    })
  )

  it.effect("asks for a TOTP code when the account has one", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [string, string, string | undefined]> = []
      const world = { tty: true, mcias: accepting(seen, true) }
      const ran = yield* mcp(["login", "--username", "admin"], { ...world, answers: ["hunter2", "123456"] })
      assert.strictEqual(ran.code, 0)
      assert.deepStrictEqual(seen.at(-1), ["admin", "hunter2", "123456"])
      const piped = yield* mcp(["login", "--username", "admin", "--password-file", passwordFile()], {
        mcias: accepting([], true)
      })
      assert.deepStrictEqual(
        [piped.code, piped.err],
        [5, "mcp: admin needs a TOTP code to log in\n  next: mcp login --totp\n"]
      )
    })
  )

  it.effect("says what to do when the code is wrong, the account is disabled, or MCIAS is too busy", () =>
    Effect.gen(function* () {
      const argv = ["login", "--username", "admin"]
      const failing = (error: LoginError) =>
        mcp(argv, {
          tty: true,
          answers: ["hunter2", "123456"],
          mcias: { login: (c) => (c.totp === undefined ? new TotpRequired({ username: c.username }) : error) }
        }).pipe(Effect.map(({ code, err }) => ({ code, err: stripVTControlCharacters(err) })))
      const wrong = yield* failing(new LoginRefused({ username: "admin", withCode: true }))
      assert.deepStrictEqual(
        [wrong.code, wrong.err],
        [
          5,
          "mcp: MCIAS refused the login of admin: wrong name, password or TOTP code (each works once), or the account is locked\n" +
            "  next: try again with the next code, or have the account unlocked\n"
        ]
      )
      const disabled = yield* failing(new LoginForbidden({ username: "admin", why: "the account is disabled" }))
      assert.deepStrictEqual(
        [disabled.code, disabled.err],
        [
          5,
          "mcp: admin may not log in here: the account is disabled\n" +
            "  next: ask for the account to be enabled or allowed in MCIAS\n"
        ]
      )
      const busy = yield* failing(new MciasBusy({ server: "https://m:8443" }))
      assert.deepStrictEqual(
        [busy.code, busy.err],
        [1, "mcp: MCIAS at https://m:8443 gets too many requests from this address\n  next: try again in a moment\n"]
      )
    })
  )

  it.effect("--totp asks for the code first, and without a terminal says why it cannot", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [string, string, string | undefined]> = []
      const asked = yield* mcp(["login", "-u", "admin", "--totp"], {
        tty: true,
        answers: ["hunter2", " 123456 "],
        mcias: accepting(seen, true)
      })
      assert.strictEqual(asked.code, 0)
      assert.deepStrictEqual(asked.questions, ["Password of admin: ", "TOTP code: "])
      assert.deepStrictEqual(seen, [["admin", "hunter2", "123456"]])
      const piped = yield* mcp(["login", "-u", "admin", "--totp", "--password-file", passwordFile()], {
        mcias: accepting(seen, true)
      })
      assert.deepStrictEqual(
        [piped.code, piped.err, seen.length],
        [
          2,
          "mcp: no terminal to ask for the TOTP code\n  next: log in from a terminal: the account has a second factor\n",
          1
        ]
      )
    })
  )

  it.effect("a refusal exits with 5, an absent MCIAS with 1, and the old token stays", () =>
    Effect.gen(function* () {
      const argv = ["login", "--username", "admin", "--password-file", passwordFile()]
      const refused = yield* mcp(argv, {
        token: "old",
        mcias: { login: () => new LoginRefused({ username: "admin", withCode: false }) }
      })
      assert.deepStrictEqual([refused.code, refused.token], [5, "old"])
      const down = new MciasUnavailable({ server: "https://m:8443", why: "connection refused" })
      const ran = yield* mcp(argv, { mcias: { login: () => down } })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /^mcp: MCIAS at https:\/\/m:8443 could not be asked: connection refused\n {2}next: /)
      assert.notInclude(ran.err + refused.err, readFileSync(argv[4] ?? "", "utf8").trim())
    })
  )
})

describe("whoami", () => {
  it.effect("shows account, roles and expiry", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["whoami"])
      assert.strictEqual(
        ran.out,
        "account  admin (human)\nroles    admin, user\nexpires  2026-12-01T00:00:00Z, in 5d12h\n"
      )
      const json = yield* mcp(["whoami", "--json"])
      assert.deepStrictEqual(json.json, {
        account: "admin",
        id: "5b0a",
        type: "human",
        roles: ["admin", "user"],
        expires_at: "2026-12-01T00:00:00.000Z",
        expires_in_ms: 475_200_000
      })
    })
  )

  it.effect("without a token, or with an expired one, exits with 5", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* mcp(["whoami"], { token: undefined })).code, 5)
      const ran = yield* mcp(["whoami"], { mcias: { validate: () => new TokenExpired({ expiredAt: 0 }) } })
      assert.deepStrictEqual(
        [ran.code, ran.err],
        [5, "mcp: the token expired at 1970-01-01T00:00:00.000Z\n  next: mcp login\n"]
      )
    })
  )
})
