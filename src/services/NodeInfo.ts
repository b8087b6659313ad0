import { Context } from "effect"

/** What the agent knows of its own node and place. */
export class NodeInfo extends Context.Tag("mcp/NodeInfo")<
  NodeInfo,
  {
    readonly node: string
    readonly version: string
    /** The folder that holds each service's own. */
    readonly filesRoot: string
    /** The folder of the agent's registry. */
    readonly dataDir: string
    /** Paths of the agent's config, database and keys: no service may reach one. */
    readonly ownPaths: ReadonlyArray<string>
    /** Credentials of image registries, as containers-auth.json(5). */
    readonly authFile: string | undefined
    /** As image registries name it: amd64, arm64. */
    readonly arch: string
    /** The zone of the services' own host names, when the node has one. */
    readonly zone: string | undefined
    readonly startedAt: number
  }
>() {}
