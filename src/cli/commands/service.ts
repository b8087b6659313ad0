import { Command } from "@effect/cli"
import { check } from "./service/check.ts"
import { edit } from "./service/edit.ts"
import { exportService } from "./service/export.ts"
import { importFile } from "./service/import.ts"
import { list } from "./service/list.ts"
import { create } from "./service/new.ts"
import { show } from "./service/show.ts"

export const service = Command.make("service").pipe(
  Command.withDescription("Definitions"),
  Command.withSubcommands([list, show, check, create, edit, importFile, exportService])
)
