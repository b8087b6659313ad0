import { Args, HelpDoc } from "@effect/cli"
import { Effect, Schema } from "effect"
import { ServiceName } from "../../../domain/Names.ts"

const isName: (word: string) => boolean = Schema.is(ServiceName)

/** A node's name is formed as a service's. */
export const nodeName = Args.text({ name: "name" }).pipe(
  Args.mapEffect((word) =>
    isName(word)
      ? Effect.succeed(word)
      : Effect.fail(HelpDoc.p(word.startsWith("-") ? `unknown option ${word}` : `"${word}" is no name of a node`))
  )
)
