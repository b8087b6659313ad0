import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os"

const firstLine = (command: string, ...args: ReadonlyArray<string>): string =>
  spawnSync(command, args, { encoding: "utf8" })
    .stdout?.split("\n")
    .find((line) => line.trim() !== "")
    ?.trim() ?? ""

const distribution = () => {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? ""
  } catch {
    return ""
  }
}

const versionOf = (name: string, text: string) => {
  const version = /\d+\.\d+[\w.+~-]*/.exec(text)?.[0]
  return version === undefined ? [] : [`${name} ${version}`]
}

const packageVersion = (name: string) =>
  versionOf(name, firstLine("dpkg-query", "--show", "--showformat", "\u0024{Version}", name))

/** What was measured, and on what. */
export const machine = (mcp: string): ReadonlyArray<string> => [
  `${type()} ${release()} ${arch()}, ${distribution()}`,
  `${availableParallelism()} x ${cpus()[0]?.model.trim() ?? "cpu"}, ${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
  [
    ...versionOf("mcp", firstLine(mcp, "--version")),
    `node ${process.version.slice(1)}`,
    ...versionOf("podman", firstLine("podman", "--version")),
    ...["runc", "netavark", "podman-compose", "docker.io", "openssh-server", "rsync"].flatMap(packageVersion)
  ].join(", ")
]
