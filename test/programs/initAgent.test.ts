import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import { loadAgentConfig } from "../../src/domain/AgentConfig.ts"
import * as HostKeyFiles from "../../src/layers/HostKeyFiles.ts"
import * as NodeCertificates from "../../src/layers/NodeCertificates.ts"
import { initAgent } from "../../src/programs/initAgent.ts"
import { issue, makeCa } from "../support/certs.ts"
import { temporaryFolder } from "../support/folder.ts"

const services = Layer.merge(HostKeyFiles.layer, NodeCertificates.layer)
const agentIn = (folder: string) => ({
  dir: join(folder, "mcp"),
  node: "rift",
  address: "127.0.0.1:9444",
  mcias: "https://mcias.example:8443",
  filesRoot: join(folder, "srv")
})

const pairIn = (folder: string, names = ["127.0.0.1"]) =>
  Effect.promise(async () => {
    const ca = await makeCa()
    const { cert, key } = await issue(ca, names)
    const files = { certificate: join(folder, "a.pem"), key: join(folder, "a.key"), authority: join(folder, "ca.pem") }
    writeFileSync(files.certificate, cert)
    writeFileSync(files.key, key, { mode: 0o600 })
    writeFileSync(files.authority, ca.cert)
    return files
  })

describe("mcp-agent init", () => {
  it.live("writes a config that is valid, and takes the key pair over", () =>
    Effect.gen(function* () {
      const folder = temporaryFolder()
      const agent = agentIn(folder)
      const done = yield* initAgent(agent, yield* pairIn(folder))
      assert.deepStrictEqual(done.missing, [])
      const text = readFileSync(done.config, "utf8")
      const config = Either.getOrThrow(loadAgentConfig({ file: done.config, text, env: {} }))
      assert.strictEqual(config.agent.nodeName, "rift")
      assert.deepStrictEqual(config.server.grpcAddr, { host: "127.0.0.1", port: 9444 })
      assert.strictEqual(readFileSync(config.server.tlsKey, "utf8"), readFileSync(join(folder, "a.key"), "utf8"))
      assert.strictEqual(statSync(config.server.tlsKey).mode & 0o777, 0o600)
      assert.strictEqual(statSync(agent.dir).mode & 0o777, 0o700)
      // What is there stays, whatever the options.
      const again = yield* Effect.flip(initAgent({ ...agent, node: "other" }, undefined))
      assert.strictEqual(again._tag, "FileTaken")
      assert.strictEqual(readFileSync(done.config, "utf8"), text)
    }).pipe(Effect.provide(services))
  )

  it.live("says which files are still to come", () =>
    Effect.gen(function* () {
      const agent = agentIn(temporaryFolder())
      const { missing } = yield* initAgent(agent, undefined)
      assert.deepStrictEqual(
        missing,
        ["agent.pem", "agent.key", "ca.pem"].map((name) => join(agent.dir, "certs", name))
      )
    }).pipe(Effect.provide(services))
  )

  it.live("refuses bad options and a pair that clients would refuse, before anything is made", () =>
    Effect.gen(function* () {
      const folder = temporaryFolder()
      const agent = agentIn(folder)
      for (const odd of [
        { address: "0.0.0.0:9444" },
        { node: "Not A Name" },
        { mcias: "http://x" },
        { node: 'a"\nb' }
      ]) {
        const error = yield* Effect.flip(initAgent({ ...agent, ...odd }, undefined))
        assert.strictEqual(error._tag, "AgentOptionsInvalid", JSON.stringify(odd))
        assert.notInclude(error.message, ".toml")
      }
      const other = yield* Effect.flip(initAgent(agent, yield* pairIn(folder, ["10.0.0.9"])))
      assert.match(other.message, /not for 127\.0\.0\.1; it is for IP Address:10\.0\.0\.9/)
      const pair = yield* pairIn(folder)
      writeFileSync(pair.key, (yield* Effect.promise(async () => issue(await makeCa()))).key)
      assert.match((yield* Effect.flip(initAgent(agent, pair))).message, /the key belongs to another certificate/)
      assert.throws(() => statSync(agent.dir))
    }).pipe(Effect.provide(services))
  )
})
