import { stringify } from "smol-toml"

export interface Template {
  readonly service: string
  readonly component: string
  readonly image: string
  readonly node: string | undefined
  readonly ports: ReadonlyArray<string>
}

const line = (key: string, value: unknown) => stringify({ [key]: value }).trim()

/** The text of a new definition: what was said, and the keys that one looks for next, as comments. */
export const definitionTemplate = ({ component, image, node, ports, service }: Template): string =>
  [
    line("name", service),
    ...(node === undefined ? [] : [line("node", node)]),
    "active = true",
    "",
    "[[components]]",
    line("name", component),
    line("image", image),
    ...(ports.length > 0 ? [line("ports", ports)] : [`# ports = ["127.0.0.1:8080:80"]`]),
    `# volumes = ["/srv/${service}/data:/data"]`,
    `# env = { LOG_LEVEL = "info" }`,
    `# memory = "256m"`,
    "",
    "# [components.health]",
    `# http = "/"`,
    "# port = 80",
    ""
  ].join("\n")
