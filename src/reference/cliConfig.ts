import type { CliConfigFile } from "../domain/CliConfig.ts"
import type { Table } from "./Table.ts"

/** Every key of the config of `mcp`. */
export const cliConfig: Table<typeof CliConfigFile.Encoded> = {
  about:
    "The config of `mcp`: `$MCP_CONFIG`, else `~/.config/mcp/mcp.toml`. A path may start with `~/`; one that is not absolute starts at the config's own folder. `MCP_<SECTION>_<KEY>` in the environment overrides a key.",
  keys: {
    services: {
      about: "Service definitions.",
      keys: { dir: "The folder of the definitions. Without this section: `~/.config/mcp/services`." }
    },
    build: {
      about: "For `mcp build`.",
      keys: { workspace: "The folder that the `path` of each definition starts at." }
    },
    mcias: {
      about: "The identity server that `mcp login` gets its token from.",
      keys: {
        server_url: "Its address, `https://HOST:PORT`.",
        ca_cert: "The CA of its certificate. Absent: the system's.",
        service_name: "What it knows MCP as."
      }
    },
    auth: {
      about: "The operator's token.",
      keys: {
        token_path:
          "Where `mcp login` keeps it, mode 0600. Without this section: `~/.config/mcp/token`. A file that others can read is refused."
      }
    },
    master: {
      about: "A fleet's master. Read and checked; there is no fleet yet.",
      keys: { addresses: "Its addresses, `HOST:PORT`, tried in order.", ca_cert: "The CA of its certificate." }
    },
    nodes: {
      about: "A node; `mcp node add` and `mcp node remove` edit these.",
      keys: {
        name: "What definitions call it.",
        address: "`HOST:PORT` of its agent.",
        addresses: "Instead of `address`: several, tried in order.",
        ca_cert: "The CA of its agent's certificate. Absent: the system's.",
        arch: "Its architecture: images for its services are built for it."
      }
    }
  }
}
