import type { SqlError } from "@effect/sql"
import { Effect, Option, Schema } from "effect"
import { RegistryUnavailable } from "../../services/RegistryError.ts"

const reasonOf = (error: unknown): string => {
  const cause = typeof error === "object" && error !== null && "cause" in error ? error.cause : undefined
  return cause instanceof Error ? cause.message : error instanceof Error ? error.message : String(error)
}

export const unavailable = (operation: string) => (error: unknown) =>
  new RegistryUnavailable({ operation, why: reasonOf(error), cause: error })

/** Each schema of a row with the decoder of a list of them, which takes longer to make than to run. */
const decoders = new WeakMap<object, unknown>()

const decoderOf = <A, I>(rows: Schema.Schema<A, I>) => {
  const make = () => Schema.decodeUnknown(Schema.Array(rows))
  const known = decoders.get(rows) as ReturnType<typeof make> | undefined
  if (known !== undefined) return known
  const made = make()
  decoders.set(rows, made)
  return made
}

export const read = <A, I, B>(
  rows: Schema.Schema<A, I>,
  query: Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>,
  pick: (rows: ReadonlyArray<A>) => B
): Effect.Effect<B, RegistryUnavailable> =>
  query.pipe(
    Effect.flatMap(decoderOf(rows)),
    Effect.map((rows) => pick(rows)),
    Effect.mapError(unavailable("read"))
  )

export const write = (query: Effect.Effect<unknown, SqlError.SqlError>): Effect.Effect<void, RegistryUnavailable> =>
  query.pipe(Effect.asVoid, Effect.mapError(unavailable("written")))

export const all = <A>(rows: ReadonlyArray<A>) => rows
export const firstRow = <A>(rows: ReadonlyArray<A>) => Option.fromNullable(rows[0])
