import { assert, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { normalise } from "../../src/cli/argv.ts"
import { agent, info, listReply, live, liveReply, mcp } from "./support.ts"

const right = (...argv: ReadonlyArray<string>) => Either.getOrThrow(normalise(argv))
const left = (...argv: ReadonlyArray<string>) => Either.getOrThrow(Either.flip(normalise(argv))).problem

describe("global options", () => {
  it("may stand anywhere before --", () => {
    for (const argv of [
      ["--json", "--config", "plan", "ps"],
      ["ps", "--config=plan", "--json"],
      ["--config", "plan", "ps", "--json"]
    ]) {
      const { args, globals } = right(...argv)
      assert.deepStrictEqual(args, ["ps"])
      assert.deepInclude(globals, { json: true, config: "plan" })
    }
  })
  it("are not looked for behind --", () => {
    const { args, builtIn, globals } = right("exec", "web", "--json", "--", "psql", "--version", "--json", "--", "-h")
    assert.deepStrictEqual(args, ["exec", "web"])
    assert.deepInclude(globals, { json: true, rest: ["psql", "--version", "--json", "--", "-h"] })
    assert.isUndefined(builtIn)
  })
  it("with a value need one", () => {
    assert.strictEqual(left("ps", "--config"), "--config needs a value")
    assert.strictEqual(left("--config", "--json", "ps"), "--config needs a value")
    assert.strictEqual(left("--config=", "ps"), "--config needs a value")
    assert.strictEqual(left("ps", "--json=yes"), "--json takes no value")
  })
  it("--timeout is a duration", () => {
    assert.strictEqual(right("ps", "--timeout", "1m30s").globals.timeout, 90_000)
    assert.match(left("--timeout=soon", "ps"), /--timeout soon: expected a duration/)
  })
  it("help, version, quiet and colour", () => {
    assert.strictEqual(right("deploy", "web", "-h").builtIn, "help")
    assert.strictEqual(right("--version").builtIn, "version")
    assert.deepInclude(right("-q", "ps", "--no-color").globals, { quiet: true, colour: false })
    assert.deepStrictEqual(right("ps", "__proto__", "--constructor").args, ["ps", "__proto__", "--constructor"])
  })
})

describe("the command line", () => {
  const rift = agent({
    liveCheck: liveReply(live({ component: "api" })),
    listServices: listReply(info("web", { name: "api" }))
  })
  const world = { agents: { rift } }

  it.effect("takes --json before and after the command", () =>
    Effect.gen(function* () {
      const before = yield* mcp(["--json", "ps"], world)
      const after = yield* mcp(["ps", "--json"], world)
      assert.deepStrictEqual([before.code, before.json], [0, after.json])
    })
  )

  it.effect("takes a config named like a command", () =>
    Effect.gen(function* () {
      let config: string | undefined
      const ran = yield* mcp(["--config", "plan", "ps"], {
        ...world,
        services: (globals) => {
          config = globals.config
          return undefined as never
        }
      })
      assert.strictEqual(config, "plan")
      assert.notStrictEqual(ran.code, 2)
    })
  )

  it.effect("never takes an unknown option for a target", () =>
    Effect.gen(function* () {
      for (const argv of [
        ["stop", "--frce"],
        ["stop", "web", "--frce"],
        ["stop", "--frce", "web"],
        ["logs", "web", "-x"],
        ["deploy", "--forse", "web"],
        ["undeploy", "--yess", "web"],
        ["ps", "--frce"],
        ["ps", "web"],
        ["--frce", "ps"]
      ]) {
        const ran = yield* mcp(argv, world)
        assert.strictEqual(ran.code, 2, argv.join(" "))
        assert.match(ran.err, /^mcp: .*(--frce|-x|--forse|--yess|web).*\n {2}next: mcp .*--help\n$/, argv.join(" "))
        assert.strictEqual(ran.out, "")
      }
    })
  )

  it.effect("says what is wrong with a target", () =>
    Effect.gen(function* () {
      for (const word of ["Web", "web/", "/api", "a/b/c", "web/Api", ""]) {
        const ran = yield* mcp(["stop", word], world)
        assert.strictEqual(ran.code, 2, word)
        assert.include(ran.err, "is not a target: expected <service> or <service>/<component>", word)
      }
    })
  )

  it.effect("names the nearest command", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["deplyo", "web"], world)
      assert.deepStrictEqual(
        [ran.code, ran.err],
        [2, "mcp: unknown command deplyo; did you mean deploy?\n  next: mcp --help\n"]
      )
      const bogus = yield* mcp(["bogus", "--help"], world)
      assert.deepStrictEqual([bogus.code, bogus.out], [2, ""])
      const group = yield* mcp(["node", "bogus"], world)
      assert.strictEqual(group.err, "mcp: unknown command node bogus\n  next: mcp node --help\n")
      const bare = yield* mcp(["node"], world)
      assert.deepStrictEqual(
        [bare.code, bare.err],
        [2, "mcp: node needs one of: list, add, remove\n  next: mcp node --help\n"]
      )
      const missing = yield* mcp(["stop"], world)
      assert.deepStrictEqual([missing.code, missing.out], [2, ""])
    })
  )

  it.effect("refuses words behind -- that the command has no use for", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["stop", "web", "--", "--version"], world)
      assert.deepStrictEqual(
        [ran.code, ran.err],
        [2, "mcp: mcp stop takes nothing after --\n  next: mcp stop --help\n"]
      )
    })
  )

  it.effect("--version and --help need no config, and have no colours in a pipe", () =>
    Effect.gen(function* () {
      const services = () => {
        throw new Error("not needed")
      }
      const version = yield* mcp(["--version"], { services })
      assert.deepStrictEqual([version.code, version.out], [0, "mcp 1.2.3\n"])
      const help = yield* mcp(["--help"], { services })
      assert.match(help.out, /deploy <target>\.\.\. +bring services/)
      const own = yield* mcp(["deploy", "--bogus", "--help"], world)
      assert.deepStrictEqual([own.code, own.err], [0, ""])
      assert.match(own.out, /--dry-run/)
      assert.notInclude(own.out + help.out, "\u001b")
      const nested = yield* mcp(["node", "list", "-h"], world)
      assert.match(nested.out, /^Usage: mcp node list\n\nThe nodes and how they are\.\n/)
    })
  )
})
