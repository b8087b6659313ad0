import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Redacted, TestClock } from "effect"
import { loadAgentConfig } from "../../src/domain/AgentConfig.ts"
import { agentTemplate } from "../../src/domain/agentTemplate.ts"
import { clockFinding, renderFinding } from "../../src/domain/HostCheck.ts"
import { checkHost } from "../../src/programs/checkHost.ts"
import { Certificates } from "../../src/services/Certificates.ts"
import { HostTrials, TrialFailed } from "../../src/services/HostTrials.ts"
import { FileMissing, KeyExposed, KeyFiles } from "../../src/services/KeyFiles.ts"

const NOW = Date.UTC(2026, 10, 25)
const text = agentTemplate({
  dir: "/srv/mcp",
  node: "rift",
  address: "10.0.0.1:9444",
  mcias: "https://mcias:8443",
  filesRoot: "/srv"
})
const config = Either.getOrThrow(loadAgentConfig({ file: "/srv/mcp/mcp-agent.toml", text, env: {} }))

const check = (
  own: Partial<HostTrials["Type"]> = {},
  files: Partial<KeyFiles["Type"]> = {},
  problems: ReadonlyArray<string> = []
) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(NOW)
    const found = yield* checkHost(config)
    return Object.fromEntries(found.map((finding) => [finding.check, finding]))
  }).pipe(
    Effect.provide(
      Layer.mergeAll(
        Layer.mock(HostTrials, {
          podman: Effect.succeed("4.3.1"),
          container: Effect.succeed({ address: "10.1.0.2", tmpfs: true }),
          memoryLimit: Effect.succeed(true),
          zstd: Effect.succeed("1.5.4"),
          listen: () => Effect.succeed("free"),
          mcias: () => Effect.succeed({ clock: NOW }),
          ...own
        }),
        Layer.mock(KeyFiles, {
          read: () => Effect.succeed("pem"),
          readKey: () => Effect.succeed(Redacted.make("pem")),
          ...files
        }),
        Layer.mock(Certificates, { problems: () => Effect.succeed(problems) })
      )
    )
  )

const no = (why: string) => new TrialFailed({ why })

describe("mcp-agent check-host", () => {
  it.effect("finds all in order on a good node", () =>
    Effect.gen(function* () {
      const found = yield* check()
      assert.isTrue(Object.values(found).every((f) => f.ok && f.fix === undefined))
      assert.lengthOf(Object.keys(found), 9)
    })
  )

  const failures: ReadonlyArray<readonly [string, string, RegExp, ReturnType<typeof check>]> = [
    ["podman that does not answer", "podman", /apt-get install podman/, check({ podman: no("cannot run podman") })],
    ["what is not tried then", "container", /podman above/, check({ podman: no("x") })],
    ["a container that does not run", "container", /podman info/, check({ container: no("no route") })],
    ["limits that the host refuses", "container", /default_ulimits/, check({ container: no("error setting rlimit") })],
    ["a memory limit that is let", "memory", /cgroup/, check({ memoryLimit: Effect.succeed(false) })],
    ["no tmpfs", "tmpfs", /mount/, check({ container: Effect.succeed({ address: "a", tmpfs: false }) })],
    ["no zstd", "zstd", /apt-get install zstd/, check({ zstd: no("it is not installed") })],
    ["a taken port", "address", /ss -ltnp/, check({ listen: () => Effect.succeed("taken") })],
    ["an address of another node", "address", /ip address/, check({ listen: () => Effect.succeed("absent") })],
    ["an absent identity server", "mcias", /server_url/, check({ mcias: () => no("connection refused") })],
    ["a clock that is behind", "clock", /set-ntp/, check({ mcias: () => Effect.succeed({ clock: NOW + 60_000 }) })],
    ["a missing certificate", "certificate", /mcp ca issue/, check({}, { read: (file) => new FileMissing({ file }) })],
    [
      "an exposed key",
      "certificate",
      /chmod 600/,
      check({}, { readKey: (file) => new KeyExposed({ file, mode: "0644" }) })
    ],
    ["a certificate for others", "certificate", /--address 10\.0\.0\.1/, check({}, {}, ["it is not for 10.0.0.1"])]
  ]
  for (const [what, name, fix, checked] of failures) {
    it.effect(`tells ${what}, and what to do`, () =>
      Effect.gen(function* () {
        const finding = (yield* checked)[name]
        assert.isFalse(finding?.ok)
        assert.match(finding?.fix ?? "", fix)
        assert.lengthOf(renderFinding(finding ?? assert.fail()), 2)
      })
    )
  }

  it.effect("beside a running agent the address is its own", () =>
    Effect.gen(function* () {
      assert.isTrue((yield* check({ listen: () => Effect.succeed("agent") })).address?.ok)
    })
  )

  it("judges clocks by half a minute, and by the year", () => {
    assert.isTrue(clockFinding(NOW, NOW + 30_000).ok)
    assert.match(clockFinding(NOW, NOW - 31_000).found, /31 s ahead/)
    assert.isFalse(clockFinding(0, undefined).ok)
    assert.isTrue(clockFinding(NOW, undefined).ok)
  })
})
