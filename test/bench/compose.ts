import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { run } from "../support/agent.ts"
import * as TestPodman from "../support/podman.ts"
import { type Peer, timed } from "./harness.ts"
import { argv, image, must, names } from "./site.ts"

/** The services of a Compose file, which `docker stack deploy` reads as well. */
export const composeFile = (dir: string, count: number, containerImage: string): string => {
  const file = join(dir, `compose-${count}.yml`)
  const service = { image: containerImage, command: argv, stop_grace_period: "0s" }
  const services = Object.fromEntries(names(count).map((name) => [name, service]))
  writeFileSync(file, JSON.stringify({ version: "3.8", services }))
  return file
}

/** podman-compose on a podman of its own: `podman ps` of ours is not to count its containers. */
const compose = (count: number) =>
  Effect.map(TestPodman.make, (podman) => {
    const file = composeFile(podman.dir, count, image)
    const call = (...args: ReadonlyArray<string>) =>
      must(run("podman-compose", ["-f", file, "-p", "bench", ...args], { PATH: `${podman.bin}:${process.env.PATH}` }))
    return { up: call("up", "-d"), down: call("down", "-t", "0") }
  })

export const up = (count: number, target: number): Peer => {
  const name = "podman-compose up -d"
  const make = Effect.map(compose(count), ({ down, up }) => ({ name, sample: Effect.zipLeft(timed(up), down) }))
  return { name, target, make }
}

export const upAgain = (count: number, target: number): Peer => {
  const name = "podman-compose up -d, again"
  const make = Effect.flatMap(compose(count), ({ up }) => Effect.as(up, { name, sample: timed(up) }))
  return { name, target, make }
}
