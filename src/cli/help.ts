import type { Paint } from "./ansi.ts"
import { commands } from "./root.ts"

const globals: ReadonlyArray<readonly [string, string]> = [
  ["--config FILE", "instead of $MCP_CONFIG or ~/.config/mcp/mcp.toml"],
  ["--json", "one JSON document on stdout; streams one object a line"],
  ["--timeout 30s", "bound each call"],
  ["--quiet, -q", "no progress and no confirmation"],
  ["--no-color", "no colours, as NO_COLOR in the environment"],
  ["--help, --version", "of mcp, or of a command: mcp deploy --help"]
]

const WIDTH = 22

const entry = ([left, right]: readonly [string, string]) => `  ${left.padEnd(WIDTH)}${right}`

/** The help of mcp itself: one line a command. */
export const rootHelp = (paint: Paint, version: string): string =>
  [
    `mcp ${version}: containers on your own nodes, from one TOML file a service`,
    "",
    "Usage: mcp <command> [options]",
    ...commands.flatMap(({ entries, title }) => ["", paint("bold", title), ...entries.map(entry)]),
    "",
    paint("bold", "Options, anywhere on the line"),
    ...globals.map(entry),
    "",
    "A <target> is <service> or <service>/<component>.",
    ""
  ].join("\n")
