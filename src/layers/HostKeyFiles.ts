import { chmod, link, lstat, mkdir, open, readFile, rm, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { Effect, Layer, Redacted } from "effect"
import {
  FileMissing,
  FileNotWritten,
  FileTaken,
  FileUnreadable,
  KeyExposed,
  KeyFiles,
  type NewFile
} from "../services/KeyFiles.ts"
import { isMissing, whyNot } from "./fileError.ts"

const OTHERS = 0o077

const unreadable = (file: string) => (error: unknown) =>
  isMissing(error) ? new FileMissing({ file }) : new FileUnreadable({ file, why: whyNot(error) })

const read = (file: string) =>
  Effect.tryPromise({ try: (signal) => readFile(file, { encoding: "utf8", signal }), catch: unreadable(file) })

const readKey = (file: string) =>
  Effect.gen(function* () {
    const { mode } = yield* Effect.tryPromise({ try: () => stat(file), catch: unreadable(file) })
    if ((mode & OTHERS) !== 0) {
      return yield* new KeyExposed({ file, mode: (mode & 0o777).toString(8).padStart(4, "0") })
    }
    return Redacted.make(yield* read(file))
  })

const present = (file: string) =>
  lstat(file).then(
    () => true,
    () => false
  )

const makeFolder = async (folder: string, mode: number) => {
  const first = await mkdir(folder, { recursive: true, mode })
  // The umask takes from the mode that mkdir is given.
  if (first !== undefined) await chmod(folder, mode)
  return first !== undefined
}

const syncFolder = async (folder: string) => {
  const handle = await open(folder, "r")
  await handle.sync().finally(() => handle.close())
}

const writeDraft = async (draft: string, content: NewFile) => {
  const secret = "secret" in content
  const handle = await open(draft, "wx", secret ? 0o600 : 0o644)
  try {
    await handle.writeFile(secret ? Redacted.value(content.secret) : content.text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const isTaken = (error: unknown) => error instanceof Error && "code" in error && error.code === "EEXIST"

/** A link, since a rename would replace what another process has made in the meantime. */
const createOne = (content: NewFile) =>
  Effect.tryPromise({
    try: async () => {
      const draft = `${content.file}.${process.pid}.tmp`
      await rm(draft, { force: true })
      try {
        await writeDraft(draft, content)
        await link(draft, content.file)
      } finally {
        await rm(draft, { force: true })
      }
      await syncFolder(dirname(content.file))
    },
    catch: (error) =>
      isTaken(error)
        ? new FileTaken({ file: content.file })
        : new FileNotWritten({ file: content.file, why: whyNot(error) })
  }).pipe(Effect.uninterruptible)

const create = (files: ReadonlyArray<NewFile>) =>
  Effect.gen(function* () {
    for (const { file } of files) {
      if (yield* Effect.promise(() => present(file))) return yield* new FileTaken({ file })
    }
    const made: Array<string> = []
    yield* Effect.forEach(files, (content) =>
      Effect.zipRight(
        createOne(content),
        Effect.sync(() => made.push(content.file))
      )
    ).pipe(
      Effect.onError(() =>
        Effect.promise(() => Promise.all(made.map((file) => rm(file, { force: true }).catch(() => undefined))))
      )
    )
  })

/** Files of the machine that the program runs on. */
export const layer: Layer.Layer<KeyFiles> = Layer.succeed(KeyFiles, {
  read,
  readKey,
  exists: (file) => Effect.promise(() => present(file)),
  makeFolder: (folder, mode) =>
    Effect.tryPromise({
      try: () => makeFolder(folder, mode),
      catch: (error) => new FileNotWritten({ file: folder, why: whyNot(error) })
    }),
  create
})
