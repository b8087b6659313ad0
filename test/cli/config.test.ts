import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { configPath, readConfig } from "../../src/cli/loadConfig.ts"
import { temporaryFolder } from "../support/folder.ts"

const MINIMAL = `
[mcias]
server_url = "https://127.0.0.1:8443"
ca_cert = "ca.pem"
[[nodes]]
name = "rift"
address = "127.0.0.1:9444"
ca_cert = "~/ca.pem"
[[nodes]]
name = "orion"
addresses = ["100.64.0.2:9444", "192.168.0.2:9444"]
arch = "arm64"
`

const written = (text: string) => {
  const dir = temporaryFolder()
  writeFileSync(join(dir, "mcp.toml"), text)
  return { dir, file: join(dir, "mcp.toml") }
}

describe("the config", () => {
  it("is looked for in order", () => {
    assert.strictEqual(configPath("/a", { MCP_CONFIG: "/b", HOME: "/home/me" }), "/a")
    assert.strictEqual(configPath(undefined, { MCP_CONFIG: "/b", HOME: "/home/me" }), "/b")
    assert.strictEqual(configPath(undefined, { HOME: "/home/me" }), "/home/me/.config/mcp/mcp.toml")
  })

  it.effect("has ~ and relative paths expanded, and defaults", () =>
    Effect.gen(function* () {
      const { dir, file } = written(MINIMAL)
      const { config, settings } = yield* readConfig(file, { HOME: "/home/me" })
      assert.strictEqual(config.mcias.caCert, join(dir, "ca.pem"))
      assert.strictEqual(config.auth.tokenPath, "/home/me/.config/mcp/token")
      assert.strictEqual(config.services.dir, "/home/me/.config/mcp/services")
      assert.deepStrictEqual(settings.nodes, [
        { name: "rift", addresses: ["127.0.0.1:9444"], arch: undefined, caCert: "/home/me/ca.pem" },
        { name: "orion", addresses: ["100.64.0.2:9444", "192.168.0.2:9444"], caCert: undefined, arch: "arm64" }
      ])
    })
  )

  it.effect("is overridden by the environment", () =>
    Effect.gen(function* () {
      const { file } = written(MINIMAL)
      const { config } = yield* readConfig(file, { HOME: "/home/me", MCP_AUTH_TOKEN_PATH: "/run/token" })
      assert.strictEqual(config.auth.tokenPath, "/run/token")
    })
  )

  it.effect("tells all its problems at once, each with its place", () =>
    Effect.gen(function* () {
      const { file } = written(
        MINIMAL.replace("server_url", "server_ulr").replace("[[nodes]]", "[[nodes]]\ncolour = 1")
      )
      const error = yield* Effect.flip(readConfig(file, {}))
      assert.strictEqual(error._tag, "ConfigInvalid")
      assert.match(error.message, new RegExp(`^${file}:\\d+:\\d+: .*server_ulr`, "m"))
      assert.match(error.message, new RegExp(`^${file}:\\d+:\\d+: .*colour`, "m"))
      assert.strictEqual((yield* Effect.flip(readConfig("/none/mcp.toml", {})))._tag, "ConfigMissing")
    })
  )
})
