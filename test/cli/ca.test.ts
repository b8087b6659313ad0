import { X509Certificate } from "node:crypto"
import { once } from "node:events"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { dirname, join } from "node:path"
import * as tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { temporaryFolder } from "../support/folder.ts"
import { mcp } from "./support.ts"

const text = (file: string) => readFileSync(file, "utf8")
const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)

/** Of commands that need no config none is read. */
const world = { services: () => assert.fail("the config was read") }
const config = () => join(temporaryFolder(), "mcp/mcp.toml")
const ca = (configFile: string, ...args: ReadonlyArray<string>) =>
  mcp(["--config", configFile, "ca", ...args], world as never)

const made = (configFile: string, name = "rift", ...addresses: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const init = yield* ca(configFile, "init")
    assert.strictEqual(init.code, 0, init.err)
    const issued = yield* ca(configFile, "issue", name, ...addresses.flatMap((a) => ["--address", a]))
    assert.strictEqual(issued.code, 0, issued.err)
    const dir = join(dirname(configFile), "ca")
    return { dir, ca: text(`${dir}/ca.pem`), cert: `${dir}/issued/${name}.pem`, key: `${dir}/issued/${name}.key` }
  })

/** What a client of TLS 1.3 makes of a server with that certificate. */
const handshake = (server: { cert: string; key: string }, client: { ca: string; name: string }) =>
  Effect.promise(async () => {
    const listening = tls.createServer({ cert: text(server.cert), key: text(server.key), minVersion: "TLSv1.3" })
    listening
      .on("tlsClientError", () => undefined)
      .on("secureConnection", (socket) => socket.on("error", () => undefined))
    await once(listening.listen(0, "127.0.0.1"), "listening")
    const { port } = listening.address() as AddressInfo
    const socket = tls.connect({
      port,
      host: "127.0.0.1",
      ca: client.ca,
      minVersion: "TLSv1.3",
      checkServerIdentity: (_, certificate) => tls.checkServerIdentity(client.name, certificate)
    })
    const outcome = await Promise.race([
      once(socket, "secureConnect").then(() => "accepted"),
      once(socket, "error").then(([error]) => String(error.code))
    ]).catch((error) => String(error.code))
    socket.destroy()
    listening.close()
    return outcome
  })

describe("mcp ca", () => {
  it.effect("makes an authority and a certificate that TLS clients accept, for its names alone", () =>
    Effect.gen(function* () {
      const own = yield* made(config(), "rift", "127.0.0.1", "rift.example", "fd00::1")
      const other = yield* made(config(), "rift", "127.0.0.1")
      for (const name of ["127.0.0.1", "rift.example", "fd00::1"]) {
        assert.strictEqual(yield* handshake(own, { ca: own.ca, name }), "accepted", name)
      }
      assert.strictEqual(yield* handshake(own, { ca: own.ca, name: "orion.example" }), "ERR_TLS_CERT_ALTNAME_INVALID")
      assert.strictEqual(yield* handshake(own, { ca: own.ca, name: "127.0.0.2" }), "ERR_TLS_CERT_ALTNAME_INVALID")
      // Both authorities have the same name: it is the key that counts.
      assert.notStrictEqual(yield* handshake(own, { ca: other.ca, name: "127.0.0.1" }), "accepted")
    })
  )

  it.effect("issues the whole chain, and keeps within the authority", () =>
    Effect.gen(function* () {
      const own = yield* made(config(), "rift", "127.0.0.1")
      const chain = text(own.cert).match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----/g) ?? []
      assert.lengthOf(chain, 2)
      const [leaf, root] = chain.map((pem) => new X509Certificate(pem))
      assert.isTrue(leaf?.verify(root?.publicKey ?? assert.fail("no root")))
      assert.isTrue(root?.ca && !leaf?.ca)
      assert.strictEqual(leaf?.subject, "CN=rift")
      assert.deepStrictEqual([leaf?.subjectAltName, leaf?.keyUsage], ["IP Address:127.0.0.1", ["1.3.6.1.5.5.7.3.1"]])
    })
  )

  it.effect("keeps keys to their owner", () =>
    Effect.gen(function* () {
      const own = yield* made(config(), "rift", "127.0.0.1")
      assert.deepStrictEqual([own.dir, `${own.dir}/ca.key`, dirname(own.key), own.key].map(mode), [
        "700",
        "600",
        "700",
        "600"
      ])
      assert.deepStrictEqual(readdirSync(own.dir).sort(), ["ca.key", "ca.pem", "issued"])
      chmodSync(`${own.dir}/ca.key`, 0o640)
      const ran = yield* ca(join(own.dir, "../mcp.toml"), "issue", "orion", "-a", "10.0.0.1")
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /others can read the key .*ca\.key \(mode 0640\).*\n {2}next: chmod 600/)
    })
  )

  it.effect("never overwrites, and leaves nothing half done", () =>
    Effect.gen(function* () {
      const file = config()
      const own = yield* made(file, "rift", "127.0.0.1")
      const before = [`${own.dir}/ca.pem`, `${own.dir}/ca.key`, own.cert, own.key].map(text)
      const again = yield* ca(file, "init")
      assert.deepStrictEqual([again.code, again.out], [1, ""])
      assert.match(again.err, /ca\.key is there already.*\n {2}next: mcp ca issue/)
      const issued = yield* ca(file, "issue", "rift", "-a", "10.0.0.1")
      assert.strictEqual(issued.code, 1)
      assert.match(issued.err, /next: .*--out/)
      assert.deepStrictEqual([`${own.dir}/ca.pem`, `${own.dir}/ca.key`, own.cert, own.key].map(text), before)
      const half = join(temporaryFolder(), "half")
      mkdirSync(half)
      writeFileSync(join(half, "orion.pem"), "mine")
      assert.strictEqual((yield* ca(file, "issue", "orion", "-a", "10.0.0.1", "--out", half)).code, 1)
      assert.deepStrictEqual(readdirSync(half), ["orion.pem"])
    })
  )

  it.effect("says what is wrong with a CA, a name and an address", () =>
    Effect.gen(function* () {
      const file = config()
      const none = yield* ca(file, "issue", "rift", "-a", "10.0.0.1")
      assert.strictEqual(none.code, 1)
      assert.match(none.err, /there is no file .*ca\.pem\n {2}next: make a CA with mcp ca init/)
      for (const [args, words] of [
        [["issue", "ca", "-a", "10.0.0.1"], /not "ca"/],
        [["issue", "../x", "-a", "10.0.0.1"], /a name for a certificate/],
        [["issue", "rift", "-a", "10.0.0.1:9444"], /leave the port out/],
        [["issue", "rift"], /--address/],
        [["init", "--name", "a\nb"], /printable/]
      ] as const) {
        const ran = yield* ca(file, ...args)
        assert.deepStrictEqual([ran.code, ran.out], [2, ""], args.join(" "))
        assert.match(ran.err, words)
      }
      assert.isFalse(existsSync(dirname(file)))
      const own = yield* made(file, "rift", "127.0.0.1")
      writeFileSync(`${own.dir}/ca.pem`, text(own.cert))
      const leaf = yield* ca(file, "issue", "orion", "-a", "10.0.0.1")
      assert.match(leaf.err, /ca\.pem cannot be used: the key beside it belongs to another certificate/)
    })
  )

  it.effect("shows the options of each command", () =>
    Effect.gen(function* () {
      const { out } = yield* ca(config(), "issue", "--help")
      for (const option of ["--address", "--dir", "--out"]) assert.include(out, option)
    })
  )

  it.effect("takes a name as it is, a folder of its own, and answers in JSON", () =>
    Effect.gen(function* () {
      const dir = join(temporaryFolder(), "own")
      const name = "O=Küche, CN=<x>+y;"
      const init = yield* ca(config(), "init", "--dir", dir, "--name", name, "--json")
      assert.deepStrictEqual(init.json, {
        name,
        certificate: `${dir}/ca.pem`,
        key: `${dir}/ca.key`,
        expires_at: "2036-11-22T12:00:00.000Z"
      })
      const issued = yield* ca(config(), "issue", "rift", "-a", "RIFT.example", "--dir", dir, "--out", dir, "--json")
      assert.deepStrictEqual(issued.json, {
        name: "rift",
        addresses: ["rift.example"],
        certificate: `${dir}/rift.pem`,
        key: `${dir}/rift.key`,
        ca_cert: `${dir}/ca.pem`,
        expires_at: "2029-02-27T12:00:00.000Z"
      })
      const [leaf] = text(`${dir}/rift.pem`).split(/(?<=-----END CERTIFICATE-----\n)/)
      assert.strictEqual(new X509Certificate(leaf ?? "").issuer, new X509Certificate(text(`${dir}/ca.pem`)).subject)
      assert.include(new X509Certificate(text(`${dir}/ca.pem`)).toLegacyObject().subject.CN, name)
    })
  )
})
