// What programs and tests of this repository could leave on a machine.
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"

const list = (folder) => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const text = (file) => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

/** Programs that outlive the tests when something goes wrong, with how they were called. */
const processes = () =>
  list("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      const argv = text(`/proc/${pid}/cmdline`).split("\0").slice(0, -1)
      const name = (argv[0] ?? "").split("/").pop()
      const isNode = name === "node" || name === "node20"
      const program = isNode ? (argv.find((word, at) => at > 0 && !word.startsWith("-")) ?? "").split("/").pop() : name
      return ["podman", "conmon", "aardvark-dns", "catatonit", "docker-registry", "mcp-agent", "mcp-mcias"].includes(
        program
      )
        ? [`process ${pid} ${argv.join(" ").slice(0, 160)}`]
        : []
    })

const natRules = () => {
  try {
    const rules = execFileSync("iptables", ["-w", "-t", "nat", "-S"], { encoding: "utf8", stdio: "pipe" }).split("\n")
    // The chains that netavark makes once for the whole machine stay, and are empty without containers.
    return rules.filter((rule) => /^-A NETAVARK-(?!HOSTPORT-(SETMARK|MASQ))/.test(rule)).map((rule) => `NAT ${rule}`)
  } catch {
    return []
  }
}

const mounts = () =>
  text("/proc/self/mountinfo")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    // Where /run lies on a disk the first agent mounts it for the whole machine, and it stays.
    .filter((point) => point !== "/run/mcp/secrets" && /overlay|\/shm$|mcp|netns/.test(point))
    .map((point) => `mount ${point}`)

export const snapshot = () => [
  ...processes(),
  ...list("/sys/class/net").map((name) => `network interface ${name}`),
  ...list("/run/netns").map((name) => `network namespace ${name}`),
  ...natRules(),
  ...mounts(),
  ...list(tmpdir())
    .filter((name) => name.startsWith("mcp-"))
    .map((name) => `file ${tmpdir()}/${name}`)
]

export const leftBehind = (before) => snapshot().filter((line) => !before.includes(line))
