import * as fs from "node:fs"
import type { Folder } from "./Folder.ts"

/** What others on the same disk are left, such as the agent's own registry. */
const LEFT_FREE = 16 * 1024 * 1024

/** Whether so many bytes fit on the folder's disk. */
export const hasRoom = (folder: Folder, bytes: number): boolean => {
  const { bavail, bsize } = fs.statfsSync(`/proc/self/fd/${folder.fd}`)
  return bavail * bsize - bytes >= LEFT_FREE
}
