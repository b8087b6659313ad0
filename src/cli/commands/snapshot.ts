import { Command } from "@effect/cli"
import { create } from "./snapshot/create.ts"
import { list } from "./snapshot/list.ts"
import { restore } from "./snapshot/restore.ts"
import { rm } from "./snapshot/rm.ts"

export const snapshot = Command.make("snapshot").pipe(
  Command.withDescription("Copies of services' data, and their way back"),
  Command.withSubcommands([create, list, restore, rm])
)
