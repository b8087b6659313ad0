import { Effect, Stream } from "effect"
import { toProto } from "../../src/grpc/spec.ts"
import { run } from "../support/agent.ts"
import { podmanPs, running } from "./cli.ts"
import * as Compose from "./compose.ts"
import { type Contender, type Peer, type Row, timed } from "./harness.ts"
import { argv, definition, image, must, names, type Site, specOf } from "./site.ts"
import * as Swarm from "./swarm.ts"

/** A new service each time: after the run it is removed again, its network too. */
const mcpDeploy = (site: Site, service: string, count: number): Effect.Effect<Contender> =>
  Effect.sync(() => {
    site.node.define(service, definition(service, count))
    const deploy = site.node.mcp("deploy", service, "--no-wait")
    return { name: "mcp deploy --no-wait", sample: Effect.zipLeft(timed(must(deploy)), site.undeploy(service)) }
  })

/** From the shell, one after the other. */
const podmanRun = ({ node }: Site, count: number, target: number): Peer => {
  const name = count === 1 ? "podman run -d" : `${count} x podman run -d`
  const start = `for name in ${names(count).join(" ")}; do "$0" run -d --name run-$name ${image} ${argv.join(" ")} || exit 1; done`
  const sample = timed(must(run("sh", ["-c", start, node.podman.command])))
  const remove = node.podman.run("rm", "--force", "--time", "0", ...names(count).map((one) => `run-${one}`))
  return { name, target, make: Effect.succeed({ name, sample: Effect.zipLeft(sample, remove) }) }
}

export const deploy1 = (site: Site): Row => ({
  name: "deploy-1",
  unit: "ms",
  ours: mcpDeploy(site, "single", 1),
  peers: [podmanRun(site, 1, 2.5), Compose.up(1, 0.35)]
})

export const deploy8 = (site: Site): Row => ({
  name: "deploy-8",
  unit: "ms",
  ours: mcpDeploy(site, "eight", 8),
  peers: [podmanRun(site, 8, 0.75), Compose.up(8, 0.12), Swarm.deploy(site, 8, 0.35)]
})

/** From the call on an open connection until the answer that everything is started. */
export const deploy1Warm = (site: Site): Row => {
  const deployed = site.client.deploy({ spec: toProto(specOf("warm", 1)), noWait: true }).pipe(
    Stream.runLast,
    Effect.flatten,
    Effect.filterOrDie(
      ({ event }) => event.case === "result" && event.value.state === "starting",
      ({ event }) =>
        new Error(
          event.case === "result" ? `${event.value.state}: ${event.value.failure?.message}` : "it has no result"
        )
    ),
    Effect.orDie
  )
  const sample = Effect.zipLeft(timed(deployed), site.undeploy("warm"))
  return {
    name: "deploy-1-warm",
    unit: "ms",
    ours: Effect.succeed({ name: "Deploy on an open connection", sample }),
    peers: [podmanRun(site, 1, 1.2)]
  }
}

export const deployUnchanged = (site: Site): Row => ({
  name: "deploy-unchanged",
  unit: "ms",
  ours: Effect.as(running(site, "same"), { name: "mcp deploy", sample: timed(must(site.node.mcp("deploy", "same"))) }),
  peers: [{ name: "podman ps", target: 5.5, make: Effect.sync(() => podmanPs(site)) }, Compose.upAgain(8, 0.15)]
})
