import { Context } from "effect"

export interface GlobalOptions {
  readonly config: string | undefined
  readonly json: boolean
  readonly colour: boolean
  readonly quiet: boolean
  /** Milliseconds. */
  readonly timeout: number | undefined
  /** What stood after `--`. */
  readonly rest: ReadonlyArray<string> | undefined
}

export const defaults: GlobalOptions = {
  config: undefined,
  json: false,
  colour: true,
  quiet: false,
  timeout: undefined,
  rest: undefined
}

/** Options that may stand anywhere, taken out of argv before the command is parsed. */
export class Globals extends Context.Tag("mcp/Globals")<Globals, GlobalOptions>() {}
