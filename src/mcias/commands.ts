import { Command } from "@effect/cli"
import { accounts } from "./commands/account.ts"
import { init } from "./commands/init.ts"
import { key } from "./commands/key.ts"
import { roles } from "./commands/role.ts"
import { serve } from "./commands/serve.ts"
import { tokenCommands } from "./commands/token.ts"
import { totp } from "./commands/totp.ts"

/** `mcp-mcias`: a small identity server for those who run no MCIAS. */
export const root = Command.make("mcp-mcias").pipe(
  Command.withDescription("A small identity server that speaks MCIAS's REST API"),
  Command.withSubcommands([init, serve, accounts, roles, totp, tokenCommands, key])
)
