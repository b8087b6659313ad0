import { Command } from "@effect/cli"
import { list } from "./secret/list.ts"
import { rm } from "./secret/rm.ts"
import { set } from "./secret/set.ts"

export const secret = Command.make("secret").pipe(
  Command.withDescription("Secrets of services, whose values are never shown"),
  Command.withSubcommands([set, list, rm])
)
