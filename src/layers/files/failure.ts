import {
  FileChanged,
  type FileError,
  FileNotFound,
  FileRefused,
  FilesDiskFull,
  FileUnusable,
  PathOutsideRoot,
  TransferBroken
} from "../../services/FileTransfer.ts"
import { whyNot } from "../fileError.ts"

export const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""

const own = [FileChanged, FileNotFound, FileRefused, FilesDiskFull, FileUnusable, PathOutsideRoot, TransferBroken]

/** What a call of the file system, or our own code, threw. */
export const fileError = (path: string, cause: unknown): FileError => {
  if (own.some((one) => cause instanceof one)) return cause as FileError
  switch (codeOf(cause)) {
    case "ENOENT":
      return new FileNotFound({ path })
    case "ENOSPC":
    case "EDQUOT":
      return new FilesDiskFull({ path })
    case "ELOOP":
      return isLink(path)
    case "ENOTDIR":
      return notAFolder(path)
    case "ENAMETOOLONG":
      return new FileUnusable({ path, why: "the name is too long for the file system" })
    case "EILSEQ":
      return new FileUnusable({ path, why: "the file system takes no such name" })
    case "EXDEV":
      return new PathOutsideRoot({ path, why: "lies on another file system" })
    default:
      return new FileUnusable({ path, why: whyNot(cause) })
  }
}

export const isLink = (path: string) => new PathOutsideRoot({ path, why: "is a link, and links are not followed" })

export const notAFolder = (path: string) =>
  new FileRefused({ path, why: "is no folder", nextStep: "name a path that leads through folders only" })

export const isAFolder = (path: string) =>
  new FileRefused({ path, why: "is a folder", nextStep: "-r takes a folder with all that lies in it" })

export const special = (path: string) =>
  new FileRefused({
    path,
    why: "is a device, a socket or a FIFO",
    nextStep: "only regular files, folders and links are moved"
  })

export const linkedElsewhere = (path: string) =>
  new FileRefused({
    path,
    why: "has another name outside the service's folder (a hard link)",
    nextStep: "copy it on the node, and pull the copy"
  })

/**
 * Why one file is left out of many, so that it does not keep the rest from its place; undefined when it went away while
 * we looked. What is more than this one file's is thrown.
 */
export const whyLeftOut = (path: string, cause: unknown): string | undefined => {
  const error = fileError(path, cause)
  switch (error._tag) {
    case "FileNotFound":
      return undefined
    case "FileRefused":
    case "PathOutsideRoot":
      return error.why
    case "FileChanged":
      return "keeps changing while it is read"
    default:
      throw error
  }
}
