import type { Failed, Findings } from "./Findings.ts"
import { formatSize } from "./Scalars.ts"

/* Between what was recorded of a failure and the name, the words and the next step that an operator is given. */

type Known = Pick<Findings, "spec" | "logs" | "unwritable" | "target" | "service">

const named: Readonly<Record<string, string>> = {
  IMAGE_NOT_FOUND: "image_missing",
  IMAGE_PULL_FAILED: "image_missing",
  PORT_IN_USE: "port_taken"
}

/** The words are those in which the runtime's layer tells a refusal. */
const refusals: ReadonlyArray<readonly [form: RegExp, cause: string]> = [
  [/there is no command /, "command_missing"],
  [/the command \S+ cannot be executed/, "command_not_executable"],
  [/there is no \S+ on the node to mount/, "volume_missing"]
]

const denied = /permission denied|EACCES|EPERM|operation not permitted/i
const inUse = /address already in use|EADDRINUSE/i

const firstWith = (logs: ReadonlyArray<string>, form: RegExp) => logs.findLast((line) => form.test(line))?.trim()

/** What the program's own last lines say of a volume that it cannot use. */
export const deniedLine = ({ logs }: Pick<Findings, "logs">) => firstWith(logs, denied)

const targetsOf = ({ spec }: Known) =>
  (spec?.volumes ?? []).map((text) => text.split(":")[1] ?? "").filter((target) => target !== "")

/** Whether it said nothing at all: then what is known beside its log counts. */
export const isMute = ({ logs }: Pick<Findings, "logs">) => logs.every((line) => line.trim() === "")

const isVolume = (known: Known) => {
  const line = deniedLine(known)
  if (known.unwritable.length > 0) return line !== undefined || isMute(known)
  return line !== undefined && targetsOf(known).some((target) => line.includes(target))
}

/** An end by itself says little: its last lines may say more. */
export const causeOfExit = (reason: string, known: Known): string => {
  if (!reason.startsWith("exited_") || reason === "exited_0") return reason
  if (isVolume(known)) return "volume_permission"
  const ownPorts = known.spec?.network === "host" && firstWith(known.logs, inUse) !== undefined
  return ownPorts ? "port_taken" : reason
}

export const causeOf = ({ message, reason }: Pick<Failed, "message" | "reason">, known: Known): string => {
  if (reason === "RUNTIME_REFUSED") {
    return refusals.find(([form]) => form.test(message))?.[1] ?? "runtime_refused"
  }
  return Object.hasOwn(named, reason) ? (named[reason] ?? "") : causeOfExit(reason.toLowerCase(), known)
}

/** The failure's message, with what is known beyond it. */
export const wordsOf = (cause: string, message: string, known: Known): string => {
  if (cause !== "volume_permission") return message
  const line = deniedLine(known)
  const [volume] = known.unwritable
  const who = volume === undefined ? "" : ` (${volume.why})`
  return line === undefined ? `${message}${who}` : `${message}, and says "${line}"${who}`
}

const image = ({ spec }: Known) => spec?.image ?? "it"

const limit = ({ spec }: Known) => (spec?.memory === undefined ? "" : ` (now ${formatSize(spec.memory)})`)

/** Causes that only another definition, or a pull, removes. */
const ofDefinition: ReadonlySet<string> = new Set([
  "oom_killed",
  "killed_perhaps_oom",
  "image_missing",
  "command_missing",
  "command_not_executable"
])

export const exitCodeOf = (reason: string): number | undefined => {
  const code = /^exited_(\d+)$/.exec(reason)?.[1]
  return code === undefined ? undefined : Number(code)
}

const remedyOfExit = (code: number | undefined): string => {
  if (code === 0) {
    return 'let the program stay in the foreground; for a job that ends, restart = "no" or "on-failure" in the definition'
  }
  if (code === 126 || code === 127) return "correct the command that its last lines name, in cmd or in its script"
  return "read its last lines below, and check cmd, env and volumes in the definition"
}

/** What is to be done about a cause before the component is started again. */
const remedy = (cause: string, known: Known): string => {
  const { service, target } = known
  switch (cause) {
    case "oom_killed":
      return `raise memory in the definition${limit(known)}, or see what it needs it for (mcp logs ${target})`
    case "killed_perhaps_oom":
      return `on the node: dmesg | grep -i oom; if it was its memory, raise memory in the definition${limit(known)}`
    case "image_missing":
      return `check that ${image(known)} is in its image registry, and that the node may pull it`
    case "command_missing":
    case "command_not_executable":
      return "correct cmd or entrypoint in the definition, or the image"
    case "volume_permission": {
      const [volume] = known.unwritable
      return volume === undefined
        ? "look on the node at the owner and mode of the folders that it mounts, and at user in the definition"
        : `on the node: chown ${volume.owner} ${volume.path} (or mount it :ro in the definition)`
    }
    case "volume_missing":
      return "make that folder on the node (mkdir -p), or correct volumes in the definition"
    case "port_taken":
      return "see on the node who listens there (ss -ltnp) and end that, or choose another port"
    case "probe_refused":
      return `see whether the program listens on the health check's port, on 0.0.0.0 and not 127.0.0.1 alone (mcp logs ${target})`
    case "probe_timeout":
      return `see what keeps the program from answering (mcp logs ${target})`
    case "port_refused":
      return "let the program listen on 0.0.0.0 at the route's target, or at $PORT without one"
    case "disk_full":
      return "free space on the node (df -h; podman system df shows what images take)"
    case "name_in_use":
    case "name_taken":
      return `see on the node what that container is (podman inspect), then rename or remove it; mcp adopt ${service} takes it in`
    case "runtime_unavailable":
      return "see on the node whether podman answers (podman info)"
    case "proxy_unavailable":
    case "proxy_refused":
      return "see on the node whether the proxy runs and what it says of that route"
    case "agent_ended":
      return "see in the agent's log why it ended"
  }
  if (cause.startsWith("probe_status_")) return `see what the program's log says of it (mcp logs ${target})`
  if (cause.startsWith("probe_")) return `see what the health check's command says, and the log (mcp logs ${target})`
  return cause.startsWith("exited_") ? remedyOfExit(exitCodeOf(cause)) : "remove what it names"
}

/** What to do: the remedy, and where it is not over then, the command that follows. */
export const nextStep = (cause: string, known: Known, follow: "deploy" | "start" | "none"): string => {
  const does = remedy(cause, known)
  if (follow === "none" && !ofDefinition.has(cause)) return does
  return `${does}; then mcp ${follow === "start" && !ofDefinition.has(cause) ? `start ${known.target}` : `deploy ${known.service}`}`
}
