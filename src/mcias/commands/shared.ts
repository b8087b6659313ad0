import { Args, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { Username } from "../Account.ts"
import { Accounts, type Credential } from "../Accounts.ts"
import { AccountUnknown, NotAPerson } from "../Failure.ts"
import * as Home from "../Home.ts"
import { Keys } from "../Keys.ts"
import * as Store from "../Store.ts"
import * as Tokens from "../tokens.ts"

export const dir = Options.text("dir").pipe(
  Options.withDescription("The folder of the identity database and its signing key")
)
export const account = Args.text({ name: "name" }).pipe(Args.withSchema(Username))
export const json = Options.boolean("json").pipe(Options.withDescription("As JSON, for programs"))

/** Runs a command on the database in `dir`, which `init` must have made. */
export const withStore =
  (dir: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.zipRight(Home.check(dir), Effect.provide(effect, Store.layer(dir)))

export const tokens = Effect.gen(function* () {
  return Tokens.make(yield* Keys, yield* (yield* Accounts).issuer)
})

export const find = (name: string) =>
  Effect.gen(function* () {
    const found = Option.getOrUndefined(yield* (yield* Accounts).byName(name))
    return found ?? (yield* new AccountUnknown({ account: name }))
  })

/** A person's account; `what` is what a program's does not have. */
export const findPerson = (name: string, what: string) =>
  Effect.filterOrFail(
    find(name),
    ({ account }: Credential) => account.kind === "human",
    () => new NotAPerson({ account: name, what })
  )

export const utc = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`

/** Columns as wide as their widest cell; the last is not filled up. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0))
  const widths = (rows[0] ?? []).map((_, column) => width(column) + 2)
  return rows
    .map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join(""))
    .join("\n")
}
