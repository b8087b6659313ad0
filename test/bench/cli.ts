import { Effect } from "effect"
import { run } from "../support/agent.ts"
import { type Contender, type Row, timed } from "./harness.ts"
import { definition, mcp, must, type Site } from "./site.ts"

const command = (name: string, ...[file, ...args]: readonly [string, ...Array<string>]): Contender => ({
  name,
  sample: timed(must(run(file, args)))
})

const bareNode = (target: number) => ({
  name: "node -e 0",
  target,
  make: Effect.succeed(command("node -e 0", "node", "-e", "0"))
})

/** Asked alone: with `--config` before it the whole program would answer. */
const answered = (name: string, option: string): Row => ({
  name,
  unit: "ms",
  ours: Effect.succeed(command(`mcp ${option}`, mcp, option)),
  peers: [bareNode(1.3)]
})

export const cliVersion = (): Row => answered("cli-version", "--version")
export const cliHelp = (): Row => answered("cli-help", "--help")

/** A service of eight that runs for as long as a row is measured. */
export const running = (site: Site, service: string) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      site.node.define(service, definition(service, 8))
      return must(site.node.mcp("deploy", service))
    }),
    () => site.undeploy(service)
  )

export const podmanPs = (site: Site): Contender => command("podman ps", site.node.podman.command, "ps")

export const cliPs = (site: Site): Row => ({
  name: "cli-ps",
  unit: "ms",
  ours: Effect.as(running(site, "shown"), { name: "mcp ps", sample: timed(must(site.node.mcp("ps"))) }),
  peers: [{ name: "podman ps", target: 6, make: Effect.sync(() => podmanPs(site)) }]
})
