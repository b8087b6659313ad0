import { Command } from "@effect/cli"
import { list } from "./files/list.ts"
import { remove } from "./files/rm.ts"

export const files = Command.make("files").pipe(
  Command.withDescription("Files in a service's own folder"),
  Command.withSubcommands([list, remove])
)
