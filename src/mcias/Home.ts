import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import * as fs from "node:fs"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { FileUnusable, NotInitialised, reasonOf } from "./Failure.ts"

export const databaseIn = (dir: string) => join(dir, "mcias.db")
export const signingKeyIn = (dir: string) => join(dir, "signing-key.pem")

const isThere = (error: unknown) => error instanceof Error && "code" in error && error.code === "EEXIST"

const syncFolder = (dir: string) => {
  const fd = fs.openSync(dir, "r")
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

const writeDurably = (file: string, text: string) => {
  const fd = fs.openSync(file, "wx", 0o600)
  try {
    fs.writeFileSync(fd, text)
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** Writes a file that only its owner may read; a reader sees the old content or the new, never a part. */
export const writePrivate = (file: string, text: string): Effect.Effect<void, FileUnusable> =>
  Effect.try({
    try: () => {
      const draft = `${file}.${process.pid}.tmp`
      fs.rmSync(draft, { force: true })
      try {
        writeDurably(draft, text)
        fs.renameSync(draft, file)
        syncFolder(dirname(file))
      } finally {
        fs.rmSync(draft, { force: true })
      }
    },
    catch: (error) => new FileUnusable({ file, why: reasonOf(error) })
  })

const pemOf = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString()

export const replaceSigningKey = (dir: string, key: KeyObject): Effect.Effect<void, FileUnusable> =>
  writePrivate(signingKeyIn(dir), pemOf(key))

/** Makes what is missing of folder, key and empty database file; says whether anything was. Never touches what is there. */
export const prepare = (dir: string): Effect.Effect<boolean, FileUnusable> =>
  Effect.try({
    try: () => {
      fs.mkdirSync(dir, { recursive: true, mode: 0o700 })
      // A folder with other things in it may serve others too; the files are 0600 on their own.
      if (fs.readdirSync(dir).length === 0) fs.chmodSync(dir, 0o700)
      let made = false
      const key = signingKeyIn(dir)
      if (!fs.existsSync(key)) {
        const { privateKey } = generateKeyPairSync("ed25519")
        const draft = `${key}.${process.pid}.tmp`
        // Of an init that was killed: in a container the process may have had the same id.
        fs.rmSync(draft, { force: true })
        writeDurably(draft, pemOf(privateKey))
        try {
          // Not a rename: of two inits at once, the second must not replace the first one's key.
          fs.linkSync(draft, key)
          made = true
        } catch (error) {
          if (!isThere(error)) throw error
        } finally {
          fs.rmSync(draft, { force: true })
        }
      }
      try {
        // SQLite would make it with the umask's mode, and its -wal and -shm take the mode of this file.
        fs.closeSync(fs.openSync(databaseIn(dir), "wx", 0o600))
        made = true
      } catch (error) {
        if (!isThere(error)) throw error
      }
      syncFolder(dir)
      return made
    },
    catch: (error) => new FileUnusable({ file: dir, why: reasonOf(error) })
  })

const refuseExposed = (file: string) => {
  if ((fs.statSync(file).mode & 0o077) === 0) return
  throw new FileUnusable({ file, why: "others can read it", next: `Run: chmod 600 ${file}` })
}
const unusable = (file: string) => (error: unknown) =>
  error instanceof FileUnusable ? error : new FileUnusable({ file, why: reasonOf(error) })

/** Whether `init` has been run here, and the database, which holds the secrets of second factors, is its owner's alone. */
export const check = (dir: string): Effect.Effect<void, NotInitialised | FileUnusable> =>
  fs.existsSync(databaseIn(dir)) && fs.existsSync(signingKeyIn(dir))
    ? Effect.try({ try: () => refuseExposed(databaseIn(dir)), catch: unusable(databaseIn(dir)) })
    : new NotInitialised({ dir })

/** The signing key, refused when others can read it. */
export const signingKey = (dir: string): Effect.Effect<KeyObject, FileUnusable> => {
  const file = signingKeyIn(dir)
  return Effect.try({
    try: () => {
      refuseExposed(file)
      const key = createPrivateKey(fs.readFileSync(file))
      if (key.asymmetricKeyType !== "ed25519") throw new Error("it is no Ed25519 key")
      return key
    },
    catch: unusable(file)
  })
}
