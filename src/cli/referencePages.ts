import { AgentConfig } from "../domain/AgentConfig.ts"
import { CliConfigFile } from "../domain/CliConfig.ts"
import { agentConfig } from "../reference/agentConfig.ts"
import { cliConfig } from "../reference/cliConfig.ts"
import { definitionSchema } from "../reference/definition.ts"
import { asText, ofFile, ofOutput } from "../reference/jsonSchema.ts"
import { page, table } from "../reference/markdown.ts"
import { commandOptions, globalOptions } from "./help.ts"
import { outputs } from "./outputs.ts"
import { commands } from "./root.ts"

const made = "<!-- Made by `make schemas` from the program's own words. -->"

const outputFile = (command: string) => `schemas/output/${command.replaceAll(/[ -]+/g, "-")}.json`

const wordsOf = (usage: string) => usage.split(" ").filter((word) => /^[a-z]+$/.test(word))

const commandsPage = () => {
  const sections = commands.flatMap(({ entries, title }) => [
    `## ${title}`,
    ...entries.flatMap(([usage, about]) => {
      const words = wordsOf(usage)
      const options = commandOptions(words)
      const printed = Object.keys(outputs).filter((name) => name.replace(/ --.*/, "") === words.join(" "))
      return [
        `### \`mcp ${usage}\``,
        `${about.charAt(0).toUpperCase()}${about.slice(1)}.`,
        ...(options.length === 0
          ? []
          : [
              table(
                ["option", ""],
                options.map(([name, text]) => [`\`${name}\``, text])
              )
            ]),
        ...(printed.length === 0
          ? []
          : [`\`--json\`: ${printed.map((name) => `[${name}](../../${outputFile(name)})`).join(", ")}.`])
      ]
    })
  ])
  const everywhere = table(
    ["option", ""],
    globalOptions.map(([name, text]) => [`\`${name}\``, text])
  )
  return `${[
    "# Commands of mcp",
    made,
    "A `<target>` is `<service>` or `<service>/<component>`. These options may stand anywhere before `--`:",
    everywhere,
    ...sections
  ].join("\n\n")}\n`
}

/** What is generated and kept in the repository: path and text. */
export const pages = (): ReadonlyMap<string, string> => {
  const files = {
    definition: definitionSchema(),
    mcp: ofFile("The config of mcp", CliConfigFile, cliConfig),
    "mcp-agent": ofFile("The config of mcp-agent", AgentConfig, agentConfig)
  }
  const intro = (name: string) => [made, `As JSON Schema: [${name}.json](../../schemas/${name}.json).`]
  return new Map([
    ...Object.entries(files).map(([name, schema]) => [`schemas/${name}.json`, asText(schema)] as const),
    ...Object.entries(outputs).map(
      ([name, schema]) => [outputFile(name), asText(ofOutput(`mcp ${name} --json`, schema))] as const
    ),
    ["docs/reference/definition.md", page("Service definition", intro("definition"), files.definition)],
    ["docs/reference/mcp-config.md", page("Config of mcp", intro("mcp"), files.mcp)],
    ["docs/reference/mcp-agent-config.md", page("Config of mcp-agent", intro("mcp-agent"), files["mcp-agent"])],
    ["docs/reference/commands.md", commandsPage()]
  ])
}
