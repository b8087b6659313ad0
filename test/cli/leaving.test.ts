import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { agent, mcp } from "./support.ts"

const toml = (name: string, node = "") => `name = "${name}"\n${node}[[components]]\nname = "api"\nimage = "web:1"\n`
const left = agent({ deploy: () => Stream.fromEffect(Effect.interrupt) })

it.effect("who interrupts a deploy is told that it goes on, and how to see its end", () =>
  Effect.gen(function* () {
    const one = yield* mcp(["deploy", "web"], { agents: { rift: left }, definitions: { web: toml("web") } })
    assert.strictEqual(one.code, "interrupted")
    assert.strictEqual(
      one.err,
      "mcp: deploy web is no longer followed: what has begun on rift goes on by itself\n  next: mcp status web\n"
    )
    const several = yield* mcp(["deploy", "--all"], {
      agents: { rift: left, vade: left },
      definitions: { shop: toml("shop", 'node = "vade"\n'), web: toml("web", 'node = "rift"\n') }
    })
    assert.match(several.err, /deploy shop, web is no longer followed: what has begun on vade, rift goes on by itself/)
    assert.match(several.err, /^ {2}next: mcp status$/m)
  })
)
