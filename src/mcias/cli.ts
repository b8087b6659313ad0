import { Command } from "@effect/cli"
import { root } from "./commands.ts"

/** The whole program, given all of `process.argv`. */
export const run = (argv: ReadonlyArray<string>, version: string) =>
  Command.run(root, { name: "mcp-mcias", version, executable: "mcp-mcias" })(argv)
