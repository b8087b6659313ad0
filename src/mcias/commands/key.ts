import { Command, Options } from "@effect/cli"
import { Clock, Console, Effect } from "effect"
import { Keys, type ListedKey } from "../Keys.ts"
import { dir, json, table, utc, withStore } from "./shared.ts"

const rotate = Command.make(
  "rotate",
  {
    dir,
    atOnce: Options.boolean("revoke-old").pipe(
      Options.withDescription("The old key is not to be trusted: whatever it signed counts no more")
    )
  },
  Effect.fn("mcias.key.rotate")(function* ({ atOnce, dir }) {
    const { kid } = yield* Effect.flatMap(Keys, (keys) => keys.rotate({ atOnce })).pipe(withStore(dir))
    yield* Console.log(
      atOnce
        ? `key ${kid} signs from now on; tokens of earlier keys count no more, so log in and issue tokens again`
        : `key ${kid} signs from now on; earlier tokens count until they expire`
    )
  })
).pipe(Command.withDescription("Make a new signing key; a running server takes it at once"))

const stateOf = (key: ListedKey, now: number) => {
  if (key.current) return "signs"
  return key.endsAt === 0 || key.endsAt > now ? "verifies" : "ended"
}

const list = Command.make(
  "list",
  { dir, json },
  Effect.fn("mcias.key.list")(function* ({ dir, json }) {
    const all = yield* Effect.flatMap(Keys, (keys) => keys.list).pipe(withStore(dir))
    const now = yield* Clock.currentTimeMillis
    const rows = all.map((key) => ({
      kid: key.kid,
      state: stateOf(key, now),
      created_at: new Date(key.createdAt).toISOString(),
      ...(key.endsAt === 0 || key.current ? {} : { ends_at: new Date(key.endsAt).toISOString() })
    }))
    if (json) return yield* Console.log(JSON.stringify(rows))
    yield* Console.log(
      table([
        ["STATE", "CREATED", "ENDS", "ID"],
        ...rows.map((row) => [
          row.state,
          utc(Date.parse(row.created_at)),
          row.ends_at === undefined ? "-" : utc(Date.parse(row.ends_at)),
          row.kid
        ])
      ])
    )
  })
).pipe(Command.withDescription("List the keys that sign and verify tokens"))

export const key = Command.make("key").pipe(
  Command.withDescription("The keys that sign tokens"),
  Command.withSubcommands([rotate, list])
)
