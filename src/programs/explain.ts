import type { RegistryUnavailable } from "../services/RegistryError.ts"
import type { RuntimeError } from "../services/RuntimeError.ts"
import type { FolderRefused } from "../services/ServiceFolders.ts"
import type {
  ComponentNotFound,
  DeployUnfinished,
  NameTaken,
  NotCarriedOut,
  NotReady,
  ServiceBusy,
  ServiceNotFound,
  SpecInvalid
} from "./ProgramError.ts"

/** All that a use case of the agent may fail with. */
export type ProgramError =
  | RuntimeError
  | RegistryUnavailable
  | FolderRefused
  | SpecInvalid
  | ServiceNotFound
  | ComponentNotFound
  | ServiceBusy
  | NameTaken
  | NotCarriedOut
  | DeployUnfinished
  | NotReady

export interface Explanation {
  /** Stable: scripts match on it. */
  readonly reason: string
  readonly nextStep: string
}

const by: { readonly [T in ProgramError["_tag"]]: (error: Extract<ProgramError, { _tag: T }>) => Explanation } = {
  RuntimeUnavailable: () => ({
    reason: "RUNTIME_UNAVAILABLE",
    nextStep: "see on the node whether podman answers: podman info"
  }),
  ContainerNotFound: (e) => ({
    reason: "CONTAINER_NOT_FOUND",
    nextStep: `${e.container} was removed by hand: deploy the service again`
  }),
  ContainerNameInUse: (e) => ({
    reason: "NAME_IN_USE",
    nextStep: `see what it is (podman inspect ${e.container}), then rename or remove it on the node`
  }),
  ImageNotFound: () => ({ reason: "IMAGE_NOT_FOUND", nextStep: "deploy the service again: that pulls the image" }),
  ImagePullFailed: () => ({
    reason: "IMAGE_PULL_FAILED",
    nextStep: "check the image's name and tag, that the image registry answers, and [runtime] auth_file"
  }),
  PortInUse: () => ({
    reason: "PORT_IN_USE",
    nextStep: "see on the node who listens there (ss -ltnp), or choose another host port"
  }),
  RuntimeRefused: () => ({
    reason: "RUNTIME_REFUSED",
    nextStep: "correct what podman names in the definition, check it with mcp plan, and deploy again"
  }),
  RegistryUnavailable: () => ({
    reason: "REGISTRY_UNAVAILABLE",
    nextStep: "check on the node that the database's disk has space and is writable"
  }),
  FolderRefused: () => ({ reason: "PATH_OUTSIDE_ROOT", nextStep: "look at that path on the node: ls -ld" }),
  SpecInvalid: () => ({ reason: "SPEC_INVALID", nextStep: "correct the definition" }),
  ServiceNotFound: () => ({ reason: "SERVICE_NOT_FOUND", nextStep: "mcp list shows the services of all nodes" }),
  ComponentNotFound: (e) => ({
    reason: "COMPONENT_NOT_FOUND",
    nextStep: `mcp status ${e.service} shows its components`
  }),
  ServiceBusy: () => ({ reason: "SERVICE_BUSY", nextStep: "wait until that is over, then try again" }),
  NameTaken: (e) => ({
    reason: "NAME_TAKEN",
    nextStep: `see what it is (podman inspect ${e.container}), then rename or remove it on the node`
  }),
  NotCarriedOut: () => ({ reason: "NOT_CARRIED_OUT", nextStep: "take these keys out of the definition for now" }),
  DeployUnfinished: () => ({
    reason: "DEPLOY_UNFINISHED",
    nextStep: "see on the node whether podman answers (podman info), then deploy again"
  }),
  NotReady: (e) => ({
    reason: e.reason.toUpperCase(),
    nextStep: e.reason.startsWith("probe_")
      ? "check the health check's path and port, and what the program says in its log"
      : "read the program's last lines above, and check cmd, env and volumes"
  })
}

/** A stable reason and a next step for each way to fail; a new error does not compile until it has both. */
export const explain = <T extends ProgramError>(error: T): Explanation =>
  (by[error._tag] as (error: T) => Explanation)(error)
