import { link, open, realpath, rename, rm, stat } from "node:fs/promises"
import { basename, dirname, join } from "node:path"

const draft = async (file: string, text: string, mode: number, settle: (temporary: string) => Promise<void>) => {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}.tmp`)
  try {
    const handle = await open(temporary, "wx", mode)
    try {
      await handle.chmod(mode)
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await settle(temporary)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Writes beside the file and renames, so that it is never half; a link stays a link, and the mode stays. */
export const replaceFile = async (file: string, text: string): Promise<void> => {
  const target = await realpath(file)
  const { mode } = await stat(target)
  await draft(target, text, mode & 0o777, (temporary) => rename(temporary, target))
}

/** A file that was not there: whole at once, and EEXIST where one is. */
export const createFile = (file: string, text: string, mode = 0o644): Promise<void> =>
  draft(file, text, mode, (temporary) => link(temporary, file))
