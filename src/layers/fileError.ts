const words: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is no folder",
  EEXIST: "a file is in its way",
  ENOSPC: "the disk is full",
  EROFS: "the file system is read-only"
}

const codeOf = (error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : "")

export const isMissing = (error: unknown): boolean => codeOf(error) === "ENOENT"

/** Why a file could not be used, in words. */
export const whyNot = (error: unknown): string =>
  words[codeOf(error)] ?? (error instanceof Error ? error.message : String(error))
