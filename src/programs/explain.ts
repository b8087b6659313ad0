import type { FileError } from "../services/FileTransfer.ts"
import type { ProxyRefused, ProxyUnavailable } from "../services/Proxy.ts"
import type { RegistryUnavailable } from "../services/RegistryError.ts"
import type { RuntimeError } from "../services/RuntimeError.ts"
import type { SecretFilesRefused } from "../services/SecretFiles.ts"
import type { SecretKeyUnusable, SecretUnreadable } from "../services/SecretKey.ts"
import type { ArchiverUnusable, ArchiveUnusable, DatabaseNotCopied } from "../services/ServiceData.ts"
import type { FolderRefused } from "../services/ServiceFolders.ts"
import type { SnapshotDamaged, SnapshotNotFound, SnapshotStoreError } from "../services/SnapshotStore.ts"
import type * as P from "./ProgramError.ts"

/** All that a use case of the agent may fail with. */
export type ProgramError =
  | RuntimeError
  | RegistryUnavailable
  | FolderRefused
  | FileError
  | ProxyUnavailable
  | ProxyRefused
  | SecretKeyUnusable
  | SecretUnreadable
  | SecretFilesRefused
  | P.SpecInvalid
  | P.ServiceNotFound
  | P.ComponentNotFound
  | P.ComponentAmbiguous
  | P.ComponentNotRunning
  | P.ServiceBusy
  | P.NameTaken
  | P.NotReady
  | P.PortsExhausted
  | P.PortTaken
  | P.ImageForeign
  | P.ImageRefused
  | P.LoadBroken
  | P.VolumeMissing
  | P.DiskLow
  | P.ModeUnsupported
  | P.PreflightFailed
  | P.DeploymentNotFound
  | P.NoRevision
  | P.NameReserved
  | P.NothingToAdopt
  | P.NotAdoptable
  | P.ServiceUnmanaged
  | P.SecretMissing
  | P.SecretInvalid
  | P.SecretNotFound
  | P.SecretInUse
  | ArchiveUnusable
  | ArchiverUnusable
  | DatabaseNotCopied
  | SnapshotStoreError
  | SnapshotNotFound
  | SnapshotDamaged
  | P.SnapshotCommandFailed
  | P.SnapshotForeign
  | P.SnapshotTaken
  | P.DataInTheWay

export interface Explanation {
  /** Stable: scripts match on it. */
  readonly reason: string
  readonly nextStep: string
}

const nextAfter = (reason: string): string => {
  if (reason.startsWith("probe_")) return "check the health check's path and port, and what the program says in its log"
  if (reason.endsWith("oom_killed") || reason === "killed_perhaps_oom")
    return "give it more memory, or see what it needs it for"
  if (reason === "port_refused")
    return "let the program listen on 0.0.0.0 at the route's target, or at $PORT without one"
  return "read the program's last lines above, and check cmd, env and volumes"
}

const diskFull: Explanation = {
  reason: "DISK_FULL",
  nextStep: "free space on the node (df -h; podman system df shows what images take), then deploy again"
}

const loadDiskFull =
  "free space on the node (df -h; podman system df shows what images take), then mcp build --load again"

/** An image may be in no image registry at all. */
const loadAgain = "one that was loaded: mcp build <service> --load"

const by: { readonly [T in ProgramError["_tag"]]: (error: Extract<ProgramError, { _tag: T }>) => Explanation } = {
  RuntimeUnavailable: () => ({
    reason: "RUNTIME_UNAVAILABLE",
    nextStep: "see on the node whether podman answers (podman info), then try again"
  }),
  ContainerNotFound: (e) => ({
    reason: "CONTAINER_NOT_FOUND",
    nextStep: `${e.container} was removed by hand: deploy the service again`
  }),
  ContainerNameInUse: (e) => ({
    reason: "NAME_IN_USE",
    nextStep: `see what it is (podman inspect ${e.container}), then rename or remove it on the node`
  }),
  ImageNotFound: () => ({
    reason: "IMAGE_NOT_FOUND",
    nextStep: `deploy the service again: that pulls the image; ${loadAgain}`
  }),
  ImagePullFailed: (e) => ({
    reason: "IMAGE_PULL_FAILED",
    nextStep:
      e.here === true
        ? "deploy without --pull: the node has an image of that name, perhaps one that was loaded or built there"
        : `check the image's name and tag, that the image registry answers, and [runtime] auth_file; ${loadAgain}`
  }),
  ImageLoadFailed: () => ({
    reason: "IMAGE_LOAD_FAILED",
    nextStep: "try again; podman's own log on the node may say more"
  }),
  LayerGone: () => ({ reason: "LAYER_GONE", nextStep: "try again: what the node lacks is sent then" }),
  ImageRefused: () => ({ reason: "IMAGE_REFUSED", nextStep: "mcp build <service> --load sends what is needed" }),
  LoadBroken: () => ({ reason: "LOAD_BROKEN", nextStep: "try again: mcp build <service> --load" }),
  DiskFull: (e) => (e.operation === "load" ? { ...diskFull, nextStep: loadDiskFull } : diskFull),
  DiskLow: (e) => (e.wants === undefined ? diskFull : { ...diskFull, nextStep: loadDiskFull }),
  PortInUse: () => ({
    reason: "PORT_IN_USE",
    nextStep: "see on the node who listens there (ss -ltnp), or choose another host port"
  }),
  RuntimeRefused: () => ({
    reason: "RUNTIME_REFUSED",
    nextStep: "correct what podman names in the definition, check it with mcp plan, and deploy again"
  }),
  CommandNotRun: () => ({
    reason: "COMMAND_NOT_RUN",
    nextStep: "check its name and path: only what the container's image has can be run in it"
  }),
  CommandCutOff: () => ({ reason: "COMMAND_CUT_OFF", nextStep: "see what became of the container: mcp events" }),
  RegistryUnavailable: () => ({
    reason: "REGISTRY_UNAVAILABLE",
    nextStep: "check on the node that the database's disk has space and is writable"
  }),
  FolderRefused: () => ({ reason: "PATH_OUTSIDE_ROOT", nextStep: "look at that path on the node: ls -ld" }),
  SpecInvalid: () => ({ reason: "SPEC_INVALID", nextStep: "correct the definition" }),
  ServiceNotFound: () => ({
    reason: "SERVICE_NOT_FOUND",
    nextStep: "mcp list shows the services of all nodes; mcp why tells of a first deploy that failed"
  }),
  ComponentNotFound: (e) => ({
    reason: "COMPONENT_NOT_FOUND",
    nextStep: `mcp status ${e.service} shows its components`
  }),
  ComponentAmbiguous: (e) => ({
    reason: "COMPONENT_AMBIGUOUS",
    nextStep: `say which: ${e.service}/${e.known[0]}`
  }),
  ComponentNotRunning: (e) => ({
    reason: "NOT_RUNNING",
    nextStep:
      e.state === "stopped"
        ? `mcp start ${e.service}/${e.component}`
        : `mcp logs ${e.service}/${e.component} shows its last lines, mcp status ${e.service} what is to come`
  }),
  ServiceBusy: () => ({
    reason: "SERVICE_BUSY",
    nextStep: "wait until that is over, then try again; with --wait, deploy, rollback and snapshot do both"
  }),
  NameTaken: (e) => ({
    reason: "NAME_TAKEN",
    nextStep: `mcp adopt ${e.service} takes it over as it is, or says how to remove it`
  }),
  ProxyUnavailable: () => ({
    reason: "PROXY_UNAVAILABLE",
    nextStep: "see on the node whether the proxy runs, and check [proxy] in the agent's config"
  }),
  ProxyRefused: () => ({
    reason: "PROXY_REFUSED",
    nextStep: "correct the route that the proxy names, and deploy again"
  }),
  PortsExhausted: () => ({
    reason: "PORTS_EXHAUSTED",
    nextStep: "see on the node who has the ports 10000 to 32767 (ss -ltnp)"
  }),
  PortTaken: (e) => ({
    reason: "PORT_IN_USE",
    nextStep:
      e.holder === undefined
        ? "see on the node who listens there (ss -ltnp), or choose another host port"
        : `stop container ${e.holder}, or choose another host port`
  }),
  ImageForeign: (e) => ({
    reason: "IMAGE_FOREIGN",
    nextStep: `name an image that is built for ${e.node}, or build it for that: arch in [[nodes]] of mcp.toml`
  }),
  VolumeMissing: (e) => ({ reason: "VOLUME_MISSING", nextStep: `make it on the node: mkdir -p ${e.path}` }),
  ModeUnsupported: () => ({
    reason: "MODE_UNSUPPORTED",
    nextStep: "leave the route's mode out: the proxy's own is taken then"
  }),
  PreflightFailed: (e) => ({
    reason: e.problems[0].reason,
    nextStep: [...new Set(e.problems.map((problem) => problem.nextStep))].join("; ")
  }),
  DeploymentNotFound: (e) => ({ reason: "DEPLOYMENT_NOT_FOUND", nextStep: `mcp history ${e.service} shows them` }),
  NoRevision: (e) => ({ reason: "NO_REVISION", nextStep: `mcp history ${e.service} shows what there is` }),
  NameReserved: () => ({
    reason: "NAME_RESERVED",
    nextStep: "rename its container on the node (podman rename), and adopt it under that name"
  }),
  NothingToAdopt: (e) => ({
    reason: "NOTHING_TO_ADOPT",
    nextStep:
      e.nearest === undefined
        ? "podman ps --all on the node shows its containers"
        : `mcp adopt ${e.nearest}; podman ps --all on the node shows its containers`
  }),
  NotAdoptable: () => ({
    reason: "NOT_ADOPTABLE",
    nextStep: "rename or remove on the node what stands in the way, or make that container anew, then adopt again"
  }),
  ServiceUnmanaged: (e) => ({ reason: "SERVICE_UNMANAGED", nextStep: `mcp adopt ${e.service}` }),
  SecretMissing: (e) => ({
    reason: "SECRET_MISSING",
    nextStep:
      e.version === undefined
        ? `mcp secret set ${e.service} ${e.secret}`
        : `mcp deploy ${e.service} uses what is set now: mcp secret list ${e.service}`
  }),
  SecretInvalid: () => ({ reason: "SECRET_INVALID", nextStep: "mcp secret set --help says what it takes" }),
  SecretNotFound: (e) => ({ reason: "SECRET_NOT_FOUND", nextStep: `mcp secret list ${e.service} shows them` }),
  SecretInUse: (e) => ({
    reason: "SECRET_IN_USE",
    nextStep: `take it out of the definition, mcp deploy ${e.service}, then remove it`
  }),
  SecretKeyUnusable: (e) => ({
    reason: "SECRET_KEY_UNUSABLE",
    nextStep: `put ${e.file} back on the node as it was, mode 0600; each snapshot of the registry has a copy beside it`
  }),
  SecretUnreadable: (e) => ({
    reason: "SECRET_UNREADABLE",
    nextStep: `put the right secrets.key back on the node, or set it anew: mcp secret set ${e.service} ${e.secret}`
  }),
  SecretFilesRefused: (e) => ({
    reason: "SECRETS_REFUSED",
    nextStep: `mount a tmpfs on the node, as root: mount -t tmpfs -o mode=0700 tmpfs ${e.path}`
  }),
  PathOutsideRoot: () => ({
    reason: "PATH_OUTSIDE_ROOT",
    nextStep: "name a path below the service's own folder; mcp files list shows what lies there"
  }),
  FileNotFound: () => ({ reason: "FILE_NOT_FOUND", nextStep: "mcp files list shows what lies there" }),
  FileRefused: (e) => ({ reason: "FILE_REFUSED", nextStep: e.nextStep }),
  FileChanged: () => ({
    reason: "FILE_CHANGED",
    nextStep: "try again when nobody writes to it, or stop the service first"
  }),
  TransferBroken: () => ({ reason: "TRANSFER_BROKEN", nextStep: "try again; --resume goes on with a large file" }),
  FilesDiskFull: () => ({ reason: "DISK_FULL", nextStep: "free space on the node (df -h), then try again" }),
  FileUnusable: () => ({ reason: "FILE_UNUSABLE", nextStep: "look at that path on the node: ls -ld" }),
  ArchiveUnusable: () => ({
    reason: "SNAPSHOT_UNUSABLE",
    nextStep: "restore another one: mcp snapshot list shows them"
  }),
  ArchiverUnusable: () => ({ reason: "ZSTD_MISSING", nextStep: "install it on the node: apt-get install zstd" }),
  DatabaseNotCopied: () => ({
    reason: "DATABASE_NOT_COPIED",
    nextStep: "try again; if it stays so, stop the service first, or look at that file on the node"
  }),
  SnapshotDiskFull: () => ({
    reason: "DISK_FULL",
    nextStep: "free space on the node (df -h), or remove older ones: mcp snapshot rm; --keep N does it by itself"
  }),
  SnapshotUnusable: (e) => ({ reason: "SNAPSHOTS_UNUSABLE", nextStep: `look at it on the node: ls -ld ${e.path}` }),
  SnapshotNotFound: (e) => ({
    reason: "SNAPSHOT_NOT_FOUND",
    nextStep:
      e.snapshot === "" ? `mcp snapshot create ${e.service}` : `mcp snapshot list ${e.service} shows what there is`
  }),
  SnapshotDamaged: (e) => ({
    reason: "SNAPSHOT_DAMAGED",
    nextStep: `restore another one: mcp snapshot list ${e.service}`
  }),
  SnapshotCommandFailed: (e) => ({
    reason: "SNAPSHOT_COMMAND_FAILED",
    nextStep: `run it by hand: mcp exec ${e.service}/${e.component} -- CMD...; mcp status ${e.service} shows what runs`
  }),
  SnapshotForeign: (e) => ({
    reason: "SNAPSHOT_FOREIGN",
    nextStep: e.of === e.service ? "name a file of mcp snapshot create" : `mcp snapshot restore ${e.of} is for that one`
  }),
  SnapshotTaken: (e) => ({
    reason: "SNAPSHOT_TAKEN",
    nextStep: `mcp snapshot rm ${e.service} ${e.snapshot} first, if that one is the damaged one`
  }),
  DataInTheWay: (e) => ({
    reason: "DATA_IN_THE_WAY",
    nextStep: `mcp deploy ${e.service} first, or mcp adopt ${e.service}; or move its folder away on the node`
  }),
  NotReady: (e) => ({
    reason: e.reason.toUpperCase(),
    nextStep: nextAfter(e.reason)
  })
}

/** A stable reason and a next step for each way to fail; a new error does not compile until it has both. */
export const explain = <T extends ProgramError>(error: T): Explanation =>
  (by[error._tag] as (error: T) => Explanation)(error)
