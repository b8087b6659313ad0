import { Code, RpcError } from "../grpc/status.ts"
import { explain, type ProgramError } from "../programs/explain.ts"
import type { IdentityError } from "../services/IdentityError.ts"

const codes: Record<ProgramError["_tag"], Code> = {
  RuntimeUnavailable: Code.UNAVAILABLE,
  ContainerNotFound: Code.NOT_FOUND,
  ContainerNameInUse: Code.ALREADY_EXISTS,
  ImageNotFound: Code.NOT_FOUND,
  ImagePullFailed: Code.FAILED_PRECONDITION,
  ImageLoadFailed: Code.FAILED_PRECONDITION,
  LayerGone: Code.ABORTED,
  ImageRefused: Code.INVALID_ARGUMENT,
  LoadBroken: Code.DATA_LOSS,
  DiskFull: Code.FAILED_PRECONDITION,
  DiskLow: Code.FAILED_PRECONDITION,
  PortInUse: Code.FAILED_PRECONDITION,
  RuntimeRefused: Code.FAILED_PRECONDITION,
  CommandNotRun: Code.FAILED_PRECONDITION,
  CommandCutOff: Code.ABORTED,
  ComponentAmbiguous: Code.INVALID_ARGUMENT,
  ComponentNotRunning: Code.FAILED_PRECONDITION,
  RegistryUnavailable: Code.UNAVAILABLE,
  FolderRefused: Code.INVALID_ARGUMENT,
  SpecInvalid: Code.INVALID_ARGUMENT,
  ServiceNotFound: Code.NOT_FOUND,
  ComponentNotFound: Code.NOT_FOUND,
  ServiceBusy: Code.ABORTED,
  NameTaken: Code.ALREADY_EXISTS,
  ProxyUnavailable: Code.UNAVAILABLE,
  ProxyRefused: Code.FAILED_PRECONDITION,
  PortsExhausted: Code.RESOURCE_EXHAUSTED,
  PortTaken: Code.FAILED_PRECONDITION,
  ImageForeign: Code.FAILED_PRECONDITION,
  VolumeMissing: Code.FAILED_PRECONDITION,
  ModeUnsupported: Code.FAILED_PRECONDITION,
  PreflightFailed: Code.FAILED_PRECONDITION,
  DeploymentNotFound: Code.NOT_FOUND,
  NoRevision: Code.FAILED_PRECONDITION,
  NotReady: Code.FAILED_PRECONDITION,
  NameReserved: Code.INVALID_ARGUMENT,
  NothingToAdopt: Code.NOT_FOUND,
  NotAdoptable: Code.FAILED_PRECONDITION,
  ServiceUnmanaged: Code.NOT_FOUND,
  SecretMissing: Code.FAILED_PRECONDITION,
  SecretInvalid: Code.INVALID_ARGUMENT,
  SecretNotFound: Code.NOT_FOUND,
  SecretInUse: Code.FAILED_PRECONDITION,
  SecretKeyUnusable: Code.FAILED_PRECONDITION,
  SecretUnreadable: Code.FAILED_PRECONDITION,
  SecretFilesRefused: Code.FAILED_PRECONDITION,
  PathOutsideRoot: Code.INVALID_ARGUMENT,
  FileNotFound: Code.NOT_FOUND,
  FileRefused: Code.FAILED_PRECONDITION,
  FileChanged: Code.ABORTED,
  TransferBroken: Code.DATA_LOSS,
  FilesDiskFull: Code.RESOURCE_EXHAUSTED,
  FileUnusable: Code.FAILED_PRECONDITION,
  ArchiveUnusable: Code.DATA_LOSS,
  ArchiverUnusable: Code.FAILED_PRECONDITION,
  DatabaseNotCopied: Code.ABORTED,
  SnapshotDiskFull: Code.RESOURCE_EXHAUSTED,
  SnapshotUnusable: Code.FAILED_PRECONDITION,
  SnapshotNotFound: Code.NOT_FOUND,
  SnapshotDamaged: Code.DATA_LOSS,
  SnapshotCommandFailed: Code.FAILED_PRECONDITION,
  SnapshotForeign: Code.INVALID_ARGUMENT,
  SnapshotTaken: Code.ALREADY_EXISTS,
  DataInTheWay: Code.FAILED_PRECONDITION
}

const optional = <K extends string>(key: K, error: object): Partial<Record<K, string>> => {
  const value = (error as Record<string, unknown>)[key]
  return typeof value === "string" && value !== "" ? ({ [key]: value } as Partial<Record<K, string>>) : {}
}

/** A use case's error as it travels; total over the tags. */
export const toRpcError = (error: ProgramError): RpcError => {
  const { reason, nextStep } = explain(error)
  return new RpcError({
    code: codes[error._tag],
    reason,
    detail: error.message,
    nextStep,
    ...optional("service", error),
    ...optional("component", error),
    ...(error._tag === "CommandNotRun" ? { info: { exit_code: String(error.exitCode) } } : {}),
    ...(error._tag === "SpecInvalid" || error._tag === "NotAdoptable" ? { violations: error.violations } : {}),
    ...(error._tag === "PreflightFailed"
      ? {
          violations: error.problems.map(({ component, message, nextStep }) => ({
            field: component,
            description: `${message}; next: ${nextStep}`
          }))
        }
      : {})
  })
}

const identityCodes: Record<IdentityError["_tag"], { code: Code; reason: string; nextStep: string }> = {
  TokenMissing: { code: Code.UNAUTHENTICATED, reason: "TOKEN_MISSING", nextStep: "mcp login" },
  TokenInvalid: { code: Code.UNAUTHENTICATED, reason: "TOKEN_INVALID", nextStep: "mcp login" },
  TokenExpired: { code: Code.UNAUTHENTICATED, reason: "TOKEN_EXPIRED", nextStep: "mcp login" },
  IdentityUnavailable: {
    code: Code.UNAVAILABLE,
    reason: "IDENTITY_UNAVAILABLE",
    nextStep:
      "see whether the identity server runs and answers the node; it is [mcias] server_url in the agent's config"
  },
  LookupsLimited: {
    code: Code.RESOURCE_EXHAUSTED,
    reason: "LOOKUPS_LIMITED",
    nextStep: "wait a second, then mcp login"
  }
}

export const identityToRpcError = (error: IdentityError): RpcError =>
  new RpcError({ ...identityCodes[error._tag], detail: error.message })
