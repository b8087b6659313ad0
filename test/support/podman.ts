import { execFile, execFileSync } from "node:child_process"
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect, type Scope } from "effect"

export interface Podman {
  /** Everything of this instance lies below it. */
  readonly dir: string
  /** To be put first on the PATH of a program that runs `podman`. */
  readonly bin: string
  /** The wrapper itself: podman, of this instance. */
  readonly command: string
  readonly image: string
  /** Runs podman and answers what it printed. */
  readonly run: (...args: ReadonlyArray<string>) => Effect.Effect<string>
}

const root = join(import.meta.dirname, "../..")
const exec = promisify(execFile)
const prefix = "mcp-pod-"
export const image = "localhost/mcp-test/busybox:1"

const applets =
  "sh ash httpd sleep nc echo cat true false id nslookup ls yes head tail printf env kill wget mount grep seq touch date dd"

/** What podman needs on this machine beyond its defaults; probed once for a checkout, since it takes seconds. */
const machineConf = (): string => {
  if (process.env.CONTAINERS_CONF) return readFileSync(process.env.CONTAINERS_CONF, "utf8")
  const kept = join(root, ".test/podman")
  mkdirSync(kept, { recursive: true })
  // Test files run side by side: one of them probes, the others wait for it.
  const probe = 'test -e "$1/probed" || { "$0" "$1" && touch "$1/probed"; }'
  execFileSync("flock", [join(kept, "lock"), "sh", "-c", probe, join(root, "scripts/podman-conf.sh"), kept], {
    stdio: ["ignore", "ignore", "inherit"]
  })
  const conf = join(kept, "containers.conf")
  return existsSync(conf) ? readFileSync(conf, "utf8") : ""
}

/**
 * A podman that is new on the host frees all locks in shared memory, also those of containers in other stores; so locks
 * are files. And netavark's own place is looked at before the system's.
 */
const withOwnEngine = (conf: string, helpers: string): string =>
  `${/^\[engine\]$/m.test(conf) ? "" : "[engine]\n"}${conf}`.replace(
    "[engine]",
    `[engine]\nlock_type = "file"\nhelper_binaries_dir = ["${helpers}", "/usr/lib/podman", "/usr/libexec/podman"]`
  )

/**
 * netavark calls the chains of a network's firewall rules by the network's name, and removes them with the last container
 * on it: with those of another instance, whose service has the same name. So it is told another name.
 */
const netavark = (slot: number) => `#!/bin/bash
set -o pipefail
for real in /usr/lib/podman/netavark /usr/libexec/podman/netavark; do [[ -x $real ]] && break; done
sed 's/"mcp-/"slot${slot}-mcp-/g' | "$real" "$@" | sed 's/"slot${slot}-mcp-/"mcp-/g'
`

/** A number that no other running instance has, also in other processes: the kernel frees the name when they end. */
const takeSlot = Effect.acquireRelease(
  Effect.promise(async (): Promise<{ readonly slot: number; readonly server: Server }> => {
    for (let slot = 0; slot < 16; slot++) {
      const server = createServer().unref()
      const taken = await new Promise<boolean>((resolve) =>
        server.once("error", () => resolve(false)).listen(`\0mcp-test-podman-${slot}`, () => resolve(true))
      )
      if (taken) return { slot, server }
    }
    throw new Error("16 podman instances of tests are running")
  }),
  ({ server }) => Effect.promise(() => new Promise<void>((done) => server.close(() => done())))
)

const network = (name: string, bridge: string, subnet: string, gateway: string) =>
  JSON.stringify({
    name,
    id: Buffer.from(name.padEnd(32, ".")).toString("hex"),
    driver: "bridge",
    network_interface: bridge,
    created: "2026-01-01T00:00:00Z",
    subnets: [{ subnet, gateway }],
    ipv6_enabled: false,
    internal: false,
    dns_enabled: false,
    ipam_options: { driver: "host-local" }
  })

/** A later mount of the agent's, outside of the instance's namespace, would not be seen in it. */
const secretsMounted =
  "mkdir -p /run/mcp/secrets && { stat -f -c %T /run/mcp/secrets | grep -q tmpfs || mount -t tmpfs -o mode=0700 mcp-secrets /run/mcp/secrets; }"

/**
 * Instances share the network of the machine, and for root `/run/containers/networks` as well, whatever podman's flags
 * are: there the addresses given out and the DNS names are kept by network name. So each instance has
 * - a mount namespace of its own that lasts until the end, with its own `/run/containers` and `/run/netns`. Whatever
 *   podman leaves mounted goes with it;
 * - subnets of its own, 10.<200 + slot>.*.*;
 * - names of its own for what netavark writes into the machine's firewall, see there;
 * - bridge names of its own. podman calls a new bridge podman1, podman2, ... by what it finds in its networks and on the
 *   host, where another's bridge is missing until its first container starts. Networks that are never used take the
 *   names of lower slots away.
 */
const isolate = (dir: string, slot: number) => {
  const nets = join(dir, "networks")
  mkdirSync(nets)
  writeFileSync(
    join(nets, "podman.json"),
    network("podman", `mcpt${slot}`, `10.${200 + slot}.255.0/24`, `10.${200 + slot}.255.1`)
  )
  for (let n = 1; n <= slot * 8; n++) {
    writeFileSync(
      join(nets, `unused${n}.json`),
      network(`unused${n}`, `podman${n}`, `10.199.${n}.0/24`, `10.199.${n}.1`)
    )
  }
  writeFileSync(
    join(dir, "containers.conf"),
    `${withOwnEngine(machineConf(), join(dir, "helpers"))}\n[network]\ndefault_subnet_pools = [{"base" = "10.${200 + slot}.0.0/16", "size" = 24}]\n`
  )
  mkdirSync(join(dir, "helpers"))
  writeFileSync(join(dir, "helpers/netavark"), netavark(slot), { mode: 0o755 })
  mkdirSync(join(dir, "run"))
  mkdirSync(join(dir, "ns"))
  writeFileSync(join(dir, "ns/mnt"), "")
  // A namespace can be kept in a file only below a mount that does not propagate.
  execFileSync("mount", ["--bind", join(dir, "ns"), join(dir, "ns")])
  execFileSync("mount", ["--make-private", join(dir, "ns")])
  execFileSync("flock", ["/run/lock/mcp-test-secrets", "sh", "-c", secretsMounted])
  const inside =
    'mkdir -p /run/containers /run/netns && mount --bind "$0" /run/containers && mount -t tmpfs none /run/netns'
  execFileSync("unshare", [`--mount=${join(dir, "ns/mnt")}`, "sh", "-c", inside, join(dir, "run")])
  const wrapper = join(dir, "bin/podman")
  const own = ["--root", "root", "--runroot", "runroot", "--tmpdir", "tmp", "--network-config-dir", "networks"]
  const flags = own.map((word) => (word.startsWith("--") ? word : `'${join(dir, word)}'`)).join(" ")
  mkdirSync(join(dir, "bin"))
  writeFileSync(
    wrapper,
    `#!/bin/sh\nexport CONTAINERS_CONF='${dir}/containers.conf'\n` +
      `exec nsenter --mount='${dir}/ns/mnt' /usr/bin/podman ${flags} "$@"\n`
  )
  chmodSync(wrapper, 0o755)
  return wrapper
}

const buildImage = (dir: string, podman: string) => {
  const files = join(dir, "rootfs")
  for (const folder of ["bin", "etc", "tmp", "www"]) mkdirSync(join(files, folder), { recursive: true })
  cpSync("/bin/busybox", join(files, "bin/busybox"))
  for (const applet of applets.split(" ")) symlinkSync("busybox", join(files, "bin", applet))
  const tar = join(dir, "rootfs.tar")
  execFileSync("tar", ["-C", files, "-cf", tar, "."])
  execFileSync(podman, ["import", "-q", "-c", "ENV PATH=/bin", "-c", "CMD sh", tar, image], { stdio: "pipe" })
}

/** After an exec, podman's conmon waits five minutes for somebody to ask for the exit code. */
const conmons = (dir: string) =>
  readdirSync("/proc").filter((pid) => {
    try {
      const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
      return argv[0]?.endsWith("/conmon") && argv.some((word) => word.startsWith(`${dir}/`))
    } catch {
      return false
    }
  })

const destroy = (dir: string, podman: string) => {
  const attempt = (command: string, ...args: ReadonlyArray<string>) => {
    try {
      execFileSync(command, args, { stdio: "pipe" })
    } catch {
      // The next step may still do; the leftovers are counted at the end of the suite.
    }
  }
  attempt(podman, "rm", "--all", "--force", "--time", "0")
  attempt(podman, "network", "prune", "--force")
  for (const pid of conmons(dir)) attempt("kill", "-9", pid)
  attempt("umount", join(dir, "ns/mnt"))
  attempt("umount", "-l", join(dir, "ns"))
  attempt("umount", "-l", join(dir, "root"))
  // A late cleanup of podman's may still write there while it is removed.
  for (let left = 100; ; left--) {
    try {
      return rmSync(dir, { recursive: true, force: true })
    } catch (error) {
      if (left === 0) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
    }
  }
}

const startTime = (pid: number | string): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[19]
  } catch {
    return undefined
  }
}

/** Instances of tests that were killed: their containers go on, with the subnet of a slot that looks free. */
const sweep = () => {
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(prefix))) {
    const dir = join(tmpdir(), name)
    const owner = join(dir, "owner")
    const [pid = "", started] = existsSync(owner) ? readFileSync(owner, "utf8").split(" ") : []
    if (pid === "" || startTime(pid) === started) continue
    try {
      destroy(dir, join(dir, "bin/podman"))
    } catch {
      // Another test file is at it.
    }
  }
}

/**
 * A podman that shares no container, image or network with another, and leaves nothing behind. With `storage` it keeps
 * images and containers on a disk of that size, such as `200m`.
 */
export const makeWith = ({ storage }: { readonly storage?: string } = {}): Effect.Effect<Podman, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { slot } = yield* takeSlot
    sweep()
    const dir = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const dir = mkdtempSync(join(tmpdir(), prefix))
        writeFileSync(join(dir, "owner"), `${process.pid} ${startTime(process.pid)}`)
        return dir
      }),
      (dir) => Effect.sync(() => destroy(dir, join(dir, "bin/podman")))
    )
    if (storage !== undefined) {
      mkdirSync(join(dir, "root"))
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${storage}`, "none", join(dir, "root")])
    }
    const command = isolate(dir, slot)
    buildImage(dir, command)
    return {
      dir,
      bin: join(dir, "bin"),
      command,
      image,
      run: (...args) => Effect.promise(() => exec(command, args)).pipe(Effect.map(({ stdout }) => stdout.trim()))
    }
  })

export const make = makeWith()
