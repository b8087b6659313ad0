import { Context } from "effect"
import type { NodeConfig } from "../services/Agents.ts"

/** What commands need of the config. */
export class Settings extends Context.Tag("mcp/Settings")<
  Settings,
  {
    readonly configFile: string
    readonly nodes: ReadonlyArray<NodeConfig>
    /** Where the source folders of definitions lie. */
    readonly workspace: string | undefined
  }
>() {}
