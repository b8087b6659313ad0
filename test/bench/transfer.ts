import { createHash, randomBytes } from "node:crypto"
import {
  closeSync,
  createReadStream,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { basename, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Effect, type Scope } from "effect"
import { type Ran, run } from "../support/agent.ts"
import { type Contender, type Row, timed } from "./harness.ts"
import { definition, must, type Site } from "./site.ts"
import * as Ssh from "./ssh.ts"

const SIZE = 1024 ** 3
const FOLDERS = 100
const FILES = 10_000

/** A service of one container, for its folder. */
export const withFolder = (site: Pick<Site, "node">, service: string) =>
  Effect.suspend(() => {
    site.node.define(service, definition(service, 1))
    return must(site.node.mcp("deploy", service))
  })

const digestOf = (file: string) =>
  Effect.promise(async () => {
    const hash = createHash("sha256")
    await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash)
    return hash.digest("hex")
  })

/** Random bytes: nothing on the way can make less of them. */
const writeRandom = (file: string, size: number) => {
  const fd = openSync(file, "w")
  for (let at = 0; at < size; at += 2 ** 24) writeSync(fd, randomBytes(Math.min(2 ** 24, size - at)))
  closeSync(fd)
}

const writeTree = (folder: string) => {
  for (let n = 0; n < FILES; n += 1) {
    const at = join(folder, `folder-${n % FOLDERS}`)
    if (n < FOLDERS) mkdirSync(at, { recursive: true })
    writeFileSync(join(at, `file-${n}`), randomBytes(1024))
  }
}

/** Nothing of an earlier run waits for the disk, in whose turn that would count. */
const settled = must(run("sync", []))

/** As much a second as `units` of it in the time that `act` takes, to a place that was empty, and looked at afterwards. */
const rate = (name: string, units: number, target: string, act: Effect.Effect<Ran>, check: Effect.Effect<void>) => {
  const empty = Effect.sync(() => rmSync(target, { recursive: true, force: true }))
  const sample = timed(must(act)).pipe(Effect.zipLeft(check), Effect.ensuring(empty))
  return {
    name,
    sample: empty.pipe(Effect.zipRight(settled), Effect.zipRight(Effect.map(sample, (ms) => (units * 1000) / ms)))
  } satisfies Contender
}

const arrived = (file: string, wanted: string) =>
  Effect.filterOrDie(
    digestOf(file),
    (digest) => digest === wanted,
    () => new Error(`${file} is not what was sent`)
  ).pipe(Effect.asVoid)

const allArrived = (folder: string) =>
  Effect.sync(() => {
    const found = readdirSync(folder).reduce((sum, name) => sum + readdirSync(join(folder, name)).length, 0)
    if (found !== FILES) throw new Error(`${found} files came instead of ${FILES}`)
  })

/**
 * A new place for each run: ext4 looks at every inode that was removed in the last minutes before it takes another, and a
 * run would pay for the one before it.
 */
const treeRate = (name: string, folder: string, act: (target: string) => Effect.Effect<Ran>): Contender => {
  let run = 0
  return {
    name,
    sample: Effect.suspend(() => {
      run += 1
      const target = join(folder, `${name.split(" ").join("-")}-${run}`)
      return settled.pipe(
        Effect.zipRight(timed(must(act(target)))),
        Effect.zipLeft(allArrived(target)),
        Effect.map((ms) => (FILES * 1000) / ms)
      )
    })
  }
}

interface Place {
  /** Where the service's files lie. */
  readonly root: string
  readonly source: string
  /** Where the others write to, on the same disk. */
  readonly other: string
}

/** The source is the same for all, and goes with the row. */
const place = (site: Site, service: string, make: (place: Place) => void) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const dir = join(site.node.dir, "transfer", service)
      const root = join(site.node.dir, "srv", service)
      yield* withFolder(site, service)
      const [source, other] = [join(dir, "source"), join(dir, "other")]
      mkdirSync(other, { recursive: true })
      mkdirSync(root, { recursive: true })
      make({ root, source, other })
      return { dir, root, source, other }
    }),
    ({ dir, root }) =>
      Effect.zipRight(
        site.undeploy(service),
        Effect.sync(() => {
          for (const folder of [dir, root]) rmSync(folder, { recursive: true, force: true })
        })
      )
  )

const megabytes = SIZE / 1e6

/** What is made for our side is there before the peers begin. */
const row = (
  about: Pick<Row, "name" | "unit">,
  made: Effect.Effect<Place, never, Scope.Scope>,
  ours: (place: Place) => Effect.Effect<Contender>,
  peers: ReadonlyArray<{
    readonly name: string
    readonly target: number
    readonly act: (place: Place, ssh: Ssh.Ssh) => Effect.Effect<Contender>
  }>
): Row => {
  let there: Place
  return {
    ...about,
    ours: Effect.flatMap(made, (place) => {
      there = place
      return ours(place)
    }),
    peers: peers.map(({ act, name, target }) => ({
      name,
      target,
      make: Effect.flatMap(Ssh.make, (ssh) => act(there, ssh))
    }))
  }
}

/** Whole commands. Ours is on the disk when it ends; scp leaves that to the kernel. */
export const push1g = (site: Site): Row =>
  row(
    { name: "push-1g", unit: "MB/s" },
    place(site, "large", ({ source }) => writeRandom(source, SIZE)),
    ({ root, source }) =>
      Effect.map(digestOf(source), (digest) => {
        const target = join(root, "source")
        return rate("mcp push", megabytes, target, site.node.mcp("push", source, "large"), arrived(target, digest))
      }),
    [
      {
        name: "scp",
        target: 0.7,
        act: ({ other, source }, { host, options }) =>
          Effect.map(digestOf(source), (digest) => {
            const target = join(other, "copy")
            const copy = run("scp", ["-q", ...options, source, `${host}:${target}`])
            return rate("scp", megabytes, target, copy, arrived(target, digest))
          })
      }
    ]
  )

export const pull1g = (site: Site): Row =>
  row(
    { name: "pull-1g", unit: "MB/s" },
    place(site, "large", ({ root }) => writeRandom(join(root, "file"), SIZE)),
    ({ other, root }) =>
      Effect.map(digestOf(join(root, "file")), (digest) => {
        const target = join(other, "pulled")
        return rate(
          "mcp pull",
          megabytes,
          target,
          site.node.mcp("pull", "large", "file", target),
          arrived(target, digest)
        )
      }),
    [
      {
        name: "scp",
        target: 1.2,
        act: ({ other, root }, { host, options }) =>
          Effect.map(digestOf(join(root, "file")), (digest) => {
            const target = join(other, "copied")
            const copy = run("scp", ["-q", ...options, `${host}:${root}/file`, target])
            return rate("scp", megabytes, target, copy, arrived(target, digest))
          })
      }
    ]
  )

/** Ours and rsync's files are on the disk, each, when the command ends; scp's are not. */
export const push10k = (site: Site): Row =>
  row(
    { name: "push-10k", unit: "files/s" },
    place(site, "many", ({ source }) => writeTree(source)),
    ({ root, source }) =>
      Effect.succeed(
        treeRate("mcp push -r", root, (target) => site.node.mcp("push", "-r", source, "many", basename(target)))
      ),
    [
      {
        name: "scp -r",
        target: 1.5,
        act: ({ other, source }, { host, options }) =>
          Effect.succeed(
            treeRate("scp -r", other, (target) => run("scp", ["-q", "-r", ...options, source, `${host}:${target}`]))
          )
      },
      {
        name: "rsync -a --fsync",
        target: 3,
        act: ({ other, source }, { host, options }) => {
          const shell = ["ssh", ...options].join(" ")
          return Effect.succeed(
            treeRate("rsync -a --fsync", other, (target) =>
              run("rsync", ["-a", "--fsync", "-e", shell, `${source}/`, `${host}:${target}`])
            )
          )
        }
      }
    ]
  )
