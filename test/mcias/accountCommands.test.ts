import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { decodeJwt } from "jose"
import { codeOf, stepAt } from "../../src/mcias/totp.ts"
import { errorIn, isValid, login, tokenIn, validate } from "./asking.ts"
import { failsWith, runHere } from "./program.ts"
import { PASSWORD, layer as serverLayer, TestServer, tokenOf } from "./server.ts"

/** A command in the folder of a server that runs, as an operator types it beside it. */
const run = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(TestServer, ({ dir }) => runHere([...args, "--dir", dir]))
const says = (...args: ReadonlyArray<string>) =>
  Effect.map(run(...args), ({ code, stderr, stdout }) => {
    assert.deepStrictEqual([code, stderr], [0, ""])
    return stdout
  })
const rows = (...args: ReadonlyArray<string>) =>
  Effect.map(says(...args, "--json"), (text) => JSON.parse(text) as ReadonlyArray<Record<string, unknown>>)
const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)
const served = <A, E>(test: Effect.Effect<A, E, TestServer>) => Effect.provide(test, serverLayer)

describe("beside a running server", () => {
  it.scopedLive("role set and unset count at once", () =>
    served(
      Effect.gen(function* () {
        const token = tokenIn(yield* login("alice"))
        const roles = Effect.map(validate(token), (body) => (body as { readonly roles: unknown }).roles)
        assert.strictEqual(yield* says("role", "set", "alice", "ops"), "alice now has the role ops (user, ops)\n")
        assert.deepStrictEqual(yield* roles, ["user", "ops"])
        assert.strictEqual(yield* says("role", "set", "alice", "ops"), "alice already had the role ops (user, ops)\n")
        assert.strictEqual(yield* says("role", "unset", "alice", "user"), "alice no longer has the role user (ops)\n")
        assert.strictEqual(yield* says("role", "unset", "alice", "user"), "alice did not have the role user (ops)\n")
        failsWith(yield* run("role", "unset", "alice", "ops"), 1, /a person keeps at least one role/)
        assert.deepStrictEqual(yield* roles, ["ops"])
        failsWith(yield* run("role", "set", "agent-rift", "ops"), 1, /agent-rift is a system account and has no roles/)
        failsWith(yield* run("role", "set", "nobody", "ops"), 1, /no account is called nobody/)
        assert.strictEqual((yield* run("role", "set", "alice", "Big Boss")).code, 2)
      })
    )
  )

  it.scopedLive("disable, enable and unlock", () =>
    served(
      Effect.gen(function* () {
        const token = tokenIn(yield* login("alice"))
        const agent = yield* tokenOf("agent-rift")
        assert.strictEqual(yield* says("account", "disable", "alice"), "disabled alice; its tokens count no more\n")
        assert.strictEqual(yield* says("account", "disable", "alice"), "alice is disabled already\n")
        yield* says("account", "disable", "agent-rift")
        assert.deepStrictEqual([yield* isValid(token), yield* isValid(agent)], [false, false])
        assert.strictEqual((yield* login("alice")).status, 403)
        failsWith(yield* run("token", "issue", "agent-rift"), 1, /the account is disabled. Enable it with/)
        const state = (name: string) =>
          Effect.map(rows("account", "list"), (all) => all.find((one) => one.username === name)?.state)
        assert.strictEqual(yield* state("alice"), "disabled")
        assert.strictEqual(yield* says("account", "enable", "alice"), "enabled alice; it has to log in again\n")
        assert.match(yield* says("account", "enable", "agent-rift"), /has to get a new token: mcp-mcias token issue/)
        assert.strictEqual(yield* says("account", "enable", "alice"), "alice is enabled already\n")
        assert.strictEqual((yield* login("alice")).status, 200)

        yield* Effect.replicateEffect(login("alice", "wrong password"), 10)
        assert.strictEqual(yield* state("alice"), "locked")
        assert.strictEqual((yield* login("alice")).status, 401)
        assert.strictEqual(yield* says("account", "unlock", "alice"), "unlocked alice\n")
        assert.strictEqual(yield* says("account", "unlock", "alice"), "alice is not locked\n")
        assert.strictEqual((yield* login("alice")).status, 200)
      })
    )
  )

  it.scopedLive("a new password ends the tokens; a bad one changes nothing", () =>
    served(
      Effect.gen(function* () {
        const { dir } = yield* TestServer
        const token = tokenIn(yield* login("alice"))
        const file = join(dir, "password")
        writeFileSync(file, "short\n")
        failsWith(yield* run("account", "password", "alice", "--password-file", file), 1, /fewer than 8 characters/)
        assert.isTrue(yield* isValid(token))
        writeFileSync(file, "another fine password\n")
        assert.strictEqual(
          yield* says("account", "password", "alice", "--password-file", file),
          "changed the password of alice; its tokens count no more\n"
        )
        assert.isFalse(yield* isValid(token))
        assert.strictEqual((yield* login("alice")).status, 401)
        assert.strictEqual((yield* login("alice", "another fine password")).status, 200)
        failsWith(
          yield* run("account", "password", "agent-rift", "--password-file", file),
          1,
          /agent-rift is a system account and has no password/
        )
      })
    )
  )

  it.scopedLive("a second factor is shown once, alone on standard output", () =>
    served(
      Effect.gen(function* () {
        const { log } = yield* TestServer
        const enrolled = yield* run("totp", "enrol", "alice")
        assert.strictEqual(enrolled.code, 0)
        assert.match(enrolled.stdout, /^otpauth:\/\/totp\/\S+\n$/)
        const secret = new URL(enrolled.stdout.trim()).searchParams.get("secret") ?? ""
        assert.match(enrolled.stderr, /alice needs a TOTP code to log in from now on. This is shown once/)
        assert.notInclude(enrolled.stderr, secret)
        const without = yield* login("alice")
        assert.deepStrictEqual([without.status, errorIn(without)], [401, "a TOTP code is required"])
        const code = codeOf(Redacted.make(secret), stepAt(Date.now()))
        assert.strictEqual((yield* login("alice", PASSWORD, code)).status, 200)

        const again = yield* run("totp", "enrol", "alice")
        failsWith(again, 1, /has a second factor already, whose secret is not shown again/)
        const everywhere = [
          again.stderr,
          log(),
          yield* says("account", "list"),
          yield* says("account", "list", "--json")
        ]
        for (const text of everywhere) {
          assert.notInclude(text, secret)
          assert.notInclude(text, code)
        }
        assert.match(everywhere[2] ?? "", /alice +human +active +yes/)
        assert.strictEqual(yield* says("totp", "remove", "alice"), "removed the second factor of alice\n")
        assert.strictEqual(yield* says("totp", "remove", "alice"), "alice has no second factor\n")
        assert.strictEqual((yield* login("alice")).status, 200)
        failsWith(yield* run("totp", "enrol", "agent-rift"), 1, /has no second factor/)
      })
    )
  )

  it.scopedLive("a second factor in a file: private, and nothing changes when it cannot be written", () =>
    served(
      Effect.gen(function* () {
        const { dir } = yield* TestServer
        failsWith(yield* run("totp", "enrol", "alice", "--out", join(dir, "none/uri")), 1, /no such file or directory/)
        assert.strictEqual((yield* login("alice")).status, 200)
        const out = join(dir, "uri")
        const said = yield* says("totp", "enrol", "alice", "--out", out)
        assert.strictEqual(mode(out), "600")
        const uri = readFileSync(out, "utf8").trim()
        assert.notInclude(said, new URL(uri).searchParams.get("secret") ?? "")
        assert.strictEqual((yield* login("alice")).status, 401)
      })
    )
  )

  it.scopedLive("tokens are listed without being shown, and revoked one by one or all of an account", () =>
    served(
      Effect.gen(function* () {
        const [one, two] = [tokenIn(yield* login("alice")), tokenIn(yield* login("alice"))]
        const root = tokenIn(yield* login("root"))
        const issued = (yield* says("token", "issue", "agent-rift")).trim()
        assert.isTrue(yield* isValid(issued))
        const listed = yield* rows("token", "list", "--account", "alice")
        const jtis = [one, two].map((token) => decodeJwt(token).jti)
        assert.sameMembers(
          listed.map((row) => row.jti as string),
          jtis
        )
        const all = yield* says("token", "list")
        assert.strictEqual(all.trim().split("\n").length, 5)
        for (const token of [one, two, root, issued]) assert.notInclude(all, token)

        const id = jtis[0] ?? ""
        assert.strictEqual(yield* says("token", "revoke", id), `revoked ${id}\n`)
        assert.strictEqual(yield* says("token", "revoke", id), `${id} counts no more already\n`)
        assert.deepStrictEqual([yield* isValid(one), yield* isValid(two)], [false, true])
        assert.strictEqual((yield* rows("token", "list", "--account", "alice")).length, 1)
        assert.strictEqual(yield* says("token", "revoke", "--account", "alice"), "revoked the tokens of alice\n")
        assert.deepStrictEqual([yield* isValid(two), yield* isValid(root)], [false, true])
        failsWith(yield* run("token", "revoke", "no-such"), 1, /there is no token with the id no-such/)
        failsWith(yield* run("token", "revoke"), 2, /give either the id of a token or --account NAME/)
        failsWith(yield* run("token", "list", "--account", "nobody"), 1, /no account is called nobody/)

        // An admin's time is what counts, and what is listed.
        const visitor = tokenIn(yield* login("visitor"))
        yield* says("role", "set", "visitor", "admin")
        const [row] = yield* rows("token", "list", "--account", "visitor")
        assert.strictEqual(
          row?.expires_at,
          (yield* validate(visitor) as Effect.Effect<{ expires_at: string }>).expires_at
        )
      })
    )
  )

  it.scopedLive("key rotate signs with the new key at once, and ends the old tokens only when told", () =>
    served(
      Effect.gen(function* () {
        const old = tokenIn(yield* login("alice"))
        const said = yield* says("key", "rotate")
        assert.match(said, /^key \S+ signs from now on; earlier tokens count until they expire\n$/)
        const kid = said.split(" ")[1]
        assert.isTrue(yield* isValid(old))
        const states = Effect.map(rows("key", "list"), (all) => all.map((key) => key.state))
        assert.deepStrictEqual(yield* states, ["verifies", "signs"])
        assert.strictEqual((yield* rows("key", "list"))[1]?.kid, kid)
        assert.match(yield* says("key", "rotate", "--revoke-old"), /tokens of earlier keys count no more/)
        assert.isFalse(yield* isValid(old))
        assert.deepStrictEqual(yield* states, ["ended", "ended", "signs"])
        assert.isTrue(yield* isValid(tokenIn(yield* login("alice"))))
        const { dir } = yield* TestServer
        assert.strictEqual(mode(join(dir, "signing-key.pem")), "600")
      })
    )
  )

  it.scopedLive("a database that others can read is refused", () =>
    served(
      Effect.gen(function* () {
        const { dir } = yield* TestServer
        chmodSync(join(dir, "mcias.db"), 0o640)
        failsWith(yield* run("account", "list"), 1, /mcias\.db: others can read it\. Run: chmod 600 /)
      })
    )
  )
})
