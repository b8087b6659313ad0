import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { freePort, run, start } from "../support/agent.ts"
import { must } from "./site.ts"

// It takes no relative path.
const sshd = "/usr/sbin/sshd"

/** The machine over ssh, for whoever runs this. */
export interface Ssh {
  /** Of `ssh` and `scp`. */
  readonly options: ReadonlyArray<string>
  readonly host: string
}

/** An sshd of its own on loopback, with keys of its own, that ends with the scope. */
export const make: Effect.Effect<Ssh, never, Scope.Scope> = Effect.gen(function* () {
  if (!existsSync(sshd)) yield* Effect.dieMessage("openssh-server is not installed")
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-ssh-"))),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
  )
  const [hostKey, key, config] = [join(dir, "host"), join(dir, "key"), join(dir, "sshd_config")]
  for (const file of [hostKey, key]) yield* must(run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]))
  const port = yield* freePort
  // What the distribution's own start makes for it.
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 })
  writeFileSync(
    config,
    [
      ...["ListenAddress 127.0.0.1", `Port ${port}`, `HostKey ${hostKey}`, `AuthorizedKeysFile ${key}.pub`],
      ...[
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        "PasswordAuthentication no",
        "Subsystem sftp internal-sftp",
        ""
      ]
    ].join("\n")
  )
  const server = yield* start(sshd, ["-D", "-e", "-f", config])
  yield* server.line("Server listening")
  const settings = {
    ...{ Port: port, IdentityFile: key, IdentitiesOnly: "yes", BatchMode: "yes", LogLevel: "ERROR" },
    ...{ StrictHostKeyChecking: "no", UserKnownHostsFile: "/dev/null" }
  }
  const options = ["-F", "none", ...Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`])]
  yield* must(run("ssh", [...options, "127.0.0.1", "true"]))
  return { options, host: "127.0.0.1" }
})
