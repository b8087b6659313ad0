import { readFileSync, statSync } from "node:fs"
import { basename, dirname, resolve } from "node:path"
import { Effect, Either, Layer } from "effect"
import { FileNotWritten, FileTaken } from "../services/KeyFiles.ts"
import { LocalFiles } from "../services/LocalFiles.ts"
import { createFile, replaceFile } from "./atomicFile.ts"
import { isMissing, whyNot } from "./fileError.ts"

const largest = 4 * 1024 ** 2

const read = (file: string): Either.Either<string | undefined, string> => {
  try {
    const stat = statSync(file)
    // A pipe or a device may never end.
    if (!stat.isFile()) return Either.left(stat.isDirectory() ? "it is a folder" : "it is no file")
    if (stat.size > largest) return Either.left("it is larger than 4 MiB")
    return Either.right(readFileSync(file, "utf8"))
  } catch (error) {
    return isMissing(error) ? Either.right(undefined) : Either.left(whyNot(error))
  }
}

const kind = (path: string) => {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat?.isFile() ? "file" : stat?.isDirectory() ? "folder" : undefined
}

const isTaken = (error: unknown) => error instanceof Error && "code" in error && error.code === "EEXIST"

const write = async (file: string, text: string, over: boolean) => {
  try {
    await createFile(file, text)
  } catch (error) {
    if (!over || !isTaken(error)) throw error
    await replaceFile(file, text)
  }
}

/** The machine that the program runs on. */
export const layer = (environment: NodeJS.ProcessEnv): Layer.Layer<LocalFiles> =>
  Layer.succeed(LocalFiles, {
    environment,
    read,
    kind,
    folderName: (file) => basename(dirname(resolve(file))),
    write: (file, text, over) =>
      Effect.tryPromise({
        try: () => write(file, text, over),
        catch: (error) => (isTaken(error) ? new FileTaken({ file }) : new FileNotWritten({ file, why: whyNot(error) }))
      })
  })
