declare const MCP_VERSION: string | undefined

/** Set when the programs are bundled; run from source it is `dev`. */
export const version = typeof MCP_VERSION === "string" ? MCP_VERSION : "dev"
