import { HelpDoc, Options, ValidationError } from "@effect/cli"
import { Clock, Effect, Option, Schema } from "effect"
import { DurationMillis } from "../domain/Scalars.ts"

const millisOf = Schema.decodeUnknownOption(DurationMillis)

export const invalid = (problem: string) => Effect.fail(ValidationError.invalidValue(HelpDoc.p(problem)))

/** A duration ago, or a time. */
const sinceTime = (word: string) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const millis = millisOf(word)
    const time = Option.isSome(millis)
      ? now - millis.value
      : /^\d{4}-\d\d-\d\d/.test(word)
        ? Date.parse(word)
        : Number.NaN
    if (!Number.isNaN(time)) return new Date(time)
    return yield* invalid(`--since ${word}: expected a duration such as "10m", or a time such as 2026-01-31T08:00:00Z`)
  })

export const since = Options.text("since").pipe(
  Options.withPseudoName("T"),
  Options.mapEffect(sinceTime),
  Options.optional,
  Options.withDescription("only what is newer: 10m, 2h, or a time")
)
