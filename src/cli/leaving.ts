import { Effect } from "effect"
import type { NodeConfig } from "../services/Agents.ts"
import { errPaint } from "./output.ts"
import { Screen } from "./Screen.ts"

interface Followed {
  readonly service: string
  readonly node: NodeConfig
}

const listed = (names: ReadonlyArray<string>) => [...new Set(names)].join(", ")

/** Agents do not end with the command that is ended half-way, once it has `begun`; whoever ends it is told so. */
export const tellIfLeft =
  (command: string, followed: ReadonlyArray<Followed>, begun: Effect.Effect<boolean> = Effect.succeed(true)) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.onInterrupt(effect, () =>
      Effect.gen(function* () {
        const services = followed.map(({ service }) => service)
        const nodes = listed(followed.map(({ node }) => node.name))
        const paint = yield* errPaint
        const line = (yield* begun)
          ? `${command} ${listed(services)} is no longer followed: what has begun on ${nodes} goes on by itself`
          : `${command} ${listed(services)} is given up: it had not changed anything on ${nodes}`
        const next = services.length === 1 ? `mcp status ${services[0]}` : "mcp status"
        yield* (yield* Screen).err(`${paint("red", "mcp:")} ${line}\n  ${paint("dim", "next:")} ${next}\n`)
      })
    )
