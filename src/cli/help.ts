import { CliConfig, CommandDescriptor, HelpDoc } from "@effect/cli"
import { HashMap, Option } from "effect"
import { type Paint, plain, strip } from "./ansi.ts"
import { commands, groups, root } from "./root.ts"

type Entry = readonly [left: string, right: string]

const globals: ReadonlyArray<Entry> = [
  ["--config FILE", "instead of $MCP_CONFIG or ~/.config/mcp/mcp.toml"],
  ["--json", "one JSON document; streams: one a line"],
  ["--timeout 30s", "bound each call"],
  ["--quiet, -q", "no progress and no confirmation"],
  ["--no-color", "no colours, as NO_COLOR in the environment"],
  ["--help, --version", "of mcp, or of a command: mcp deploy --help"]
]

interface Section {
  readonly title: string
  readonly entries: ReadonlyArray<Entry>
}

/** All in the same two columns. */
const sections = (all: ReadonlyArray<Section>, paint: Paint) => {
  const width = Math.max(...all.flatMap(({ entries }) => entries.map(([left]) => left.length)))
  return all
    .filter(({ entries }) => entries.length > 0)
    .flatMap(({ entries, title }) => [
      "",
      paint("bold", title),
      ...entries.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
    ])
}

/** The help of mcp itself: one line a command. */
export const rootHelp = (paint: Paint, version: string): string =>
  [
    `mcp ${version}: containers on your own nodes, from one TOML file a service`,
    "",
    "Usage: mcp <command> [options]",
    ...sections([...commands, { title: "Options, anywhere on the line", entries: globals }], paint),
    "",
    "A <target> is <service> or <service>/<component>.",
    ""
  ].join("\n")

const entriesOf = (command: string) =>
  commands.flatMap((group) => group.entries).filter(([usage]) => `${usage} `.startsWith(`${command} `))

/** The help of a word that only leads to others. */
export const groupHelp = (word: string): string =>
  [`Usage: mcp ${word} <command>`, ...sections([{ title: "Commands", entries: entriesOf(word) }], plain), ""].join("\n")

const text = (doc: HelpDoc.HelpDoc) => strip(HelpDoc.toAnsiText(doc)).replace(/\s+/g, " ").trim()

const parts = (doc: HelpDoc.HelpDoc): ReadonlyArray<HelpDoc.HelpDoc> =>
  HelpDoc.isSequence(doc) ? [...parts(doc.left), ...parts(doc.right)] : HelpDoc.isEmpty(doc) ? [] : [doc]

// @effect/cli's own help takes six lines an option: what kind of value, our words, whether it is optional.
const options = (doc: HelpDoc.HelpDoc): ReadonlyArray<Entry> =>
  parts(doc)
    .filter(HelpDoc.isDescriptionList)
    .flatMap((list) => list.definitions)
    .map(([name, about]): Entry => {
      const [, words] = parts(about)
      return [
        text(HelpDoc.p(name))
          .replace(/ \d\+$/, "")
          .replace(/^\((.*)\)$/, "$1"),
        words === undefined ? "" : text(words)
      ]
    })
    .filter(([name]) => name.startsWith("-"))

/** The help of one command. */
export const commandHelp = (path: ReadonlyArray<string>, paint: Paint): string => {
  const group = path.length > 1 ? groups.get(path[0] ?? "") : undefined
  const found = (group === undefined ? path : path.slice(1)).reduce<Option.Option<CommandDescriptor.Command<unknown>>>(
    (from, word) => Option.flatMap(from, (command) => HashMap.get(CommandDescriptor.getSubcommands(command), word)),
    Option.some(group === undefined ? root.descriptor : group.descriptor)
  )
  const [usage = path.join(" "), about = ""] = entriesOf(path.join(" "))[0] ?? []
  const own = Option.match(found, {
    onNone: () => [],
    onSome: (command) => options(CommandDescriptor.getHelp(command, CliConfig.make({ showBuiltIns: false })))
  })
  return [
    `Usage: mcp ${usage}`,
    "",
    `${about.charAt(0).toUpperCase()}${about.slice(1)}.`,
    ...sections([{ title: "Options", entries: own }], paint),
    "",
    "Options of every command: mcp --help",
    ""
  ].join("\n")
}
