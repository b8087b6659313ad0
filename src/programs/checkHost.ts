import { Clock, Effect, Either } from "effect"
import type { AgentConfig } from "../domain/AgentConfig.ts"
import { bad, clockFinding, type Finding, good } from "../domain/HostCheck.ts"
import { Certificates } from "../services/Certificates.ts"
import { HostTrials } from "../services/HostTrials.ts"
import { KeyFiles } from "../services/KeyFiles.ts"

const containerChecks = Effect.gen(function* () {
  const trials = yield* HostTrials
  const version = yield* Effect.either(trials.podman)
  if (Either.isLeft(version)) {
    const fix = "apt-get install podman netavark aardvark-dns, or correct [runtime] socket"
    const unknown = (check: Finding["check"]) =>
      bad(check, "not tried, since podman does not answer", "see podman above")
    return [bad("podman", version.left.why, fix), unknown("container"), unknown("memory"), unknown("tmpfs")]
  }
  const ran = yield* Effect.either(trials.container)
  const limited = yield* Effect.either(trials.memoryLimit)
  const noContainer = "see what podman says: podman info; on Debian it needs runc or crun, netavark and iptables"
  const limits =
    "set default_ulimits under [containers] in /etc/containers/containers.conf to what this host allows (ulimit -Ha)"
  const cgroups =
    "boot with the memory cgroup (cgroup_enable=memory on the kernel's line), and cgroups v2 where possible"
  return [
    good("podman", `version ${version.right}`),
    Either.match(ran, {
      onLeft: ({ why }) => bad("container", why, /rlimit/.test(why) ? limits : noContainer),
      onRight: ({ address }) => good("container", `one ran on a bridge, at ${address}`)
    }),
    Either.match(limited, {
      onLeft: ({ why }) => bad("memory", why, /rlimit/.test(why) ? limits : noContainer),
      onRight: (inForce) =>
        inForce
          ? good("memory", "a container that took more than its limit was killed")
          : bad("memory", "a container took four times its limit, and was let", cgroups)
    }),
    Either.match(ran, {
      onLeft: () => bad("tmpfs", "not tried, since no container runs", "see container above"),
      onRight: ({ tmpfs }) =>
        tmpfs
          ? good("tmpfs", "a container had a file system in memory")
          : bad("tmpfs", "a container's tmpfs is none", "see on the node: mount -t tmpfs none /mnt; umount /mnt")
    })
  ]
})

const serverChecks = ({ server }: AgentConfig) =>
  Effect.gen(function* () {
    const files = yield* KeyFiles
    const { host, port } = server.grpcAddr
    const pair = yield* Effect.either(
      Effect.all({
        certificate: files.read(server.tlsCert),
        key: files.readKey(server.tlsKey),
        authority: Effect.succeed(undefined)
      })
    )
    const issue = `mcp ca issue NAME --address ${host}, then copy it to ${server.tlsCert} and its key to ${server.tlsKey}`
    const now = yield* Clock.currentTimeMillis
    const problems = Either.isLeft(pair)
      ? [pair.left.message]
      : yield* (yield* Certificates).problems(pair.right, host, now)
    const certificate =
      problems.length === 0
        ? good("certificate", `${server.tlsCert} is for ${host}, and its key fits`)
        : bad(
            "certificate",
            problems.join("; "),
            Either.isLeft(pair) && pair.left._tag === "KeyExposed" ? `chmod 600 ${server.tlsKey}` : issue
          )
    const pem = Either.isRight(pair) ? pair.right.certificate : undefined
    const listening = yield* Effect.either((yield* HostTrials).listen({ host, port, certificate: pem }))
    return [certificate, addressFinding(`${host}:${port}`, listening)]
  })

const zstdCheck = Effect.gen(function* () {
  const version = yield* Effect.either((yield* HostTrials).zstd)
  return Either.match(version, {
    onLeft: ({ why }) => bad("zstd", why, "apt-get install zstd: snapshots are packed with it"),
    onRight: (found) => good("zstd", `version ${found}`)
  })
})

const addressFinding = (
  address: string,
  listening: Either.Either<"free" | "agent" | "taken" | "absent", { readonly why: string }>
): Finding => {
  if (Either.isLeft(listening)) return bad("address", `${address}: ${listening.left.why}`, "correct [server] grpc_addr")
  switch (listening.right) {
    case "free":
      return good("address", `${address} is free`)
    case "agent":
      return good("address", `the agent listens on ${address}`)
    case "taken":
      return bad(
        "address",
        `${address} is taken`,
        "see who has it (ss -ltnp), or choose another port in [server] grpc_addr"
      )
    case "absent":
      return bad("address", `this node has no address ${address}`, "see ip address, and correct [server] grpc_addr")
  }
}

const identityChecks = ({ mcias }: AgentConfig) =>
  Effect.gen(function* () {
    const asked = yield* Effect.either((yield* HostTrials).mcias(mcias))
    const now = yield* Clock.currentTimeMillis
    return [
      Either.match(asked, {
        onLeft: ({ why }) =>
          bad("mcias", `${mcias.serverUrl}: ${why}`, "see whether it runs, and check [mcias] server_url and ca_cert"),
        onRight: () => good("mcias", `${mcias.serverUrl} answers`)
      }),
      clockFinding(now, Either.isRight(asked) ? asked.right.clock : undefined)
    ]
  })

/** Tries all that the agent will need of this node; never fails, since each failure is a finding. */
export const checkHost = Effect.fn("agent.checkHost")(function* (config: AgentConfig) {
  const [containers, zstd, server, identity] = yield* Effect.all([
    containerChecks,
    zstdCheck,
    serverChecks(config),
    identityChecks(config)
  ])
  return [...containers, zstd, ...server, ...identity] satisfies ReadonlyArray<Finding>
})
