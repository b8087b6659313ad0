import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Undici from "@effect/platform-node/Undici"
import { Clock, Context, Effect, Layer, Logger, Redacted } from "effect"
import { Accounts } from "../../src/mcias/Accounts.ts"
import * as Api from "../../src/mcias/api.ts"
import * as Home from "../../src/mcias/Home.ts"
import { Keys } from "../../src/mcias/Keys.ts"
import * as Passwords from "../../src/mcias/passwords.ts"
import * as RateLimit from "../../src/mcias/rateLimit.ts"
import * as Store from "../../src/mcias/Store.ts"
import { serve } from "../../src/mcias/server.ts"
import { TokenRecords } from "../../src/mcias/TokenRecords.ts"
import * as Tokens from "../../src/mcias/tokens.ts"
import { issue, makeCa } from "../support/certs.ts"

export const ISSUER = "https://mcias.test:8443"

/** A folder that goes with the scope. */
export const tempDir = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-mcias-test-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

export interface Certificates {
  readonly caCert: string
  readonly tlsCert: string
  readonly tlsKey: string
}

/** An authority and a certificate for 127.0.0.1, as files. */
export const certificatesIn = (dir: string, name = "mcias") =>
  Effect.promise(async (): Promise<Certificates> => {
    const ca = await makeCa(`${name} CA`)
    const pair = await issue(ca, ["127.0.0.1", "localhost"])
    const write = (file: string, text: string) => {
      writeFileSync(join(dir, file), text)
      return join(dir, file)
    }
    return {
      caCert: write(`${name}-ca.pem`, ca.cert),
      tlsCert: write(`${name}.pem`, pair.cert),
      tlsKey: write(`${name}.key`, pair.key)
    }
  })

export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers: Readonly<Record<string, unknown>>
}

/** An HTTP client that trusts one authority. */
export const client = (url: string, ca: string, localAddress?: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Undici.Agent({ connect: { ca }, ...(localAddress === undefined ? {} : { localAddress }) })),
      (agent) => Effect.promise(() => agent.destroy())
    ),
    (agent) =>
      (method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Answer> =>
        agent
          .request({ origin: url, path, method: method as Undici.Dispatcher.HttpMethod, headers, body: body ?? null })
          .then(async (response) => ({
            status: response.statusCode,
            headers: response.headers,
            body: await response.body.json()
          }))
  )

/** An identity server in this process, with accounts alice (user), root (admin), visitor (guest) and agent-rift (system). */
export class TestServer extends Context.Tag("test/MciasServer")<
  TestServer,
  {
    readonly url: string
    readonly dir: string
    readonly certificates: Certificates
    readonly tokens: Tokens.Tokens
    readonly accounts: Accounts["Type"]
    readonly records: TokenRecords["Type"]
    readonly keys: Keys["Type"]
    readonly send: Effect.Effect.Success<ReturnType<typeof client>>
    readonly log: () => string
  }
>() {}

export const PASSWORD = "correct horse battery staple"

/** Tests move the clock by years, which the look at the certificates every ten seconds must not follow. */
const realPauses = (clock: Clock.Clock): Clock.Clock =>
  Object.assign(Clock.make(), {
    currentTimeMillis: clock.currentTimeMillis,
    unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis()
  })

const makeServer = Effect.fnUntraced(function* (mayPass: RateLimit.RateLimit, before?: (dir: string) => void) {
  const dir = yield* tempDir
  before?.(dir)
  const lines: Array<string> = []
  const logger = Logger.map(Logger.jsonLogger, (line) => {
    lines.push(line)
  })
  const certificates = yield* certificatesIn(dir)
  yield* Home.prepare(dir)
  const context = yield* Layer.build(Store.layer(dir))
  const accounts = Context.get(context, Accounts)
  yield* accounts.setIssuer(ISSUER)
  const passwordHash = yield* Passwords.hash(Redacted.make(PASSWORD))
  yield* accounts.add({ username: "alice", kind: "human", roles: ["user"], passwordHash })
  yield* accounts.add({ username: "root", kind: "human", roles: ["admin"], passwordHash })
  yield* accounts.add({ username: "visitor", kind: "human", roles: ["guest"], passwordHash })
  yield* accounts.add({ username: "agent-rift", kind: "system", roles: [] })
  const records = Context.get(context, TokenRecords)
  const keys = Context.get(context, Keys)
  const tokens = Tokens.make(keys, ISSUER)
  const api = yield* Effect.provide(Api.make(tokens, mayPass), context)
  const { port } = yield* serve(api, { address: { host: "127.0.0.1", port: 0 }, ...certificates }).pipe(
    Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
    Effect.withClock(realPauses(yield* Effect.clock))
  )
  const url = `https://127.0.0.1:${port}`
  const ca = yield* Effect.promise(async () => (await import("node:fs/promises")).readFile(certificates.caCert, "utf8"))
  return TestServer.of({
    url,
    dir,
    certificates,
    tokens,
    accounts,
    records,
    keys,
    send: yield* client(url, ca),
    log: () => lines.join("\n")
  })
})

/** Without its rate limit, which most tests would run into. */
export const layer = Layer.scoped(
  TestServer,
  makeServer(() => Effect.succeed(true))
)

/** On what was in its folder before. */
export const layerAfter = (before: (dir: string) => void) =>
  Layer.scoped(
    TestServer,
    makeServer(() => Effect.succeed(true), before)
  )

export const limitedLayer = Layer.scoped(
  TestServer,
  Effect.suspend(() => makeServer(RateLimit.make()))
)

/** A token for one of its accounts, as `login` or `token issue` would make it. */
export const tokenOf = (username: string) =>
  Effect.gen(function* () {
    const { accounts, records, tokens } = yield* TestServer
    const { account } = yield* Effect.flatten(accounts.byName(username))
    const issued = yield* tokens.issue(account)
    yield* records.add(issued.record)
    return issued.token
  })
