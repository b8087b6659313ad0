import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmod, lstat, mkdir, open, readdir, readFile, rename, rm, rmdir, statfs } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Layer, Option, Redacted } from "effect"
import { type Generation, SecretFiles, SecretFilesRefused } from "../services/SecretFiles.ts"
import { whyNot } from "./fileError.ts"

export interface SecretFilesOptions {
  /** Another folder than the product's is for tests. */
  readonly root?: string
  /** Mounts a tmpfs; replaced in tests. */
  readonly mount?: (root: string) => Promise<void>
}

export const defaultRoot = "/run/mcp/secrets"

/** The file systems that are memory alone, as statfs numbers them. */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6])

const isInMemory = async (root: string) => inMemory.has((await statfs(root)).type)

const mountTmpfs = async (root: string) => {
  const options = "mode=0700,nosuid,nodev,noexec"
  const child = spawn("mount", ["-t", "tmpfs", "-o", options, "mcp-secrets", root], {
    stdio: ["ignore", "ignore", "pipe"]
  })
  let said = ""
  child.stderr.on("data", (chunk) => {
    said += chunk
  })
  const [code] = await once(child, "close")
  if (code !== 0)
    throw new Error(`no tmpfs can be mounted there: ${said.trim().split("\n")[0] || `mount ended with ${code}`}`)
}

/** The root is a folder for nobody else, on a file system in memory. */
const ready = async (root: string, mount: (root: string) => Promise<void>) => {
  await mkdir(root, { recursive: true, mode: 0o700 })
  if (!(await lstat(root)).isDirectory()) throw new Error("it is no folder")
  if (!(await isInMemory(root))) {
    await mount(root)
    if (!(await isInMemory(root))) throw new Error("it is not in memory (no tmpfs)")
  }
  await chmod(root, 0o700)
}

const writeOne = async (folder: string, secret: string, value: Uint8Array) => {
  // No secret's name begins with a dot.
  const draft = join(folder, `.${secret}`)
  await rm(draft, { force: true })
  const handle = await open(draft, "wx", 0o444)
  try {
    // The umask takes from the mode that open is given.
    await handle.chmod(0o444)
    await handle.writeFile(value)
  } finally {
    await handle.close()
  }
  await rename(draft, join(folder, secret))
}

const folders = async (path: string) => {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

/** Below `/run/mcp/secrets/<service>/<component>/<generation>`, a file for each secret. */
export const layer = ({
  mount = mountTmpfs,
  root = defaultRoot
}: SecretFilesOptions = {}): Layer.Layer<SecretFiles> => {
  const at = ({ component, generation, service }: Generation) => join(root, service, component, String(generation))
  const tried = <A>(act: () => Promise<A>) =>
    Effect.tryPromise({ try: act, catch: (error) => new SecretFilesRefused({ path: root, why: whyNot(error) }) })
  // One at a time: two mounts would lie on each other.
  const gate = Effect.unsafeMakeSemaphore(1)
  const check = gate
    .withPermits(1)(tried(() => ready(root, mount)))
    .pipe(Effect.uninterruptible)
  const write = async (of: Generation, values: ReadonlyMap<string, Redacted.Redacted<Uint8Array>>, alone: boolean) => {
    const folder = at(of)
    if (alone) await rm(folder, { recursive: true, force: true })
    for (const each of [join(root, of.service), join(root, of.service, of.component), folder]) {
      await mkdir(each, { recursive: true, mode: 0o700 })
      await chmod(each, 0o700)
    }
    for (const [secret, value] of values) await writeOne(folder, secret, Redacted.value(value))
  }
  const remove = async (of: Generation) => {
    await rm(at(of), { recursive: true, force: true })
    // What is not empty stays.
    for (const each of [join(root, of.service, of.component), join(root, of.service)]) {
      await rmdir(each).catch(() => undefined)
    }
  }
  const generations = async (service: string) => {
    const found: Array<Generation> = []
    for (const component of await folders(join(root, service))) {
      for (const name of await folders(join(root, service, component))) {
        if (/^\d+$/.test(name)) found.push({ service, component, generation: Number(name) })
      }
    }
    return found
  }
  return Layer.succeed(SecretFiles, {
    check,
    file: (of, secret) => join(at(of), secret),
    write: (of, values, alone) =>
      Effect.zipRight(
        check,
        tried(() => write(of, values, alone))
      ).pipe(Effect.uninterruptible),
    read: (of, secret) =>
      Effect.promise(() =>
        readFile(join(at(of), secret)).then(
          (value) => Option.some(Redacted.make(value as Uint8Array)),
          () => Option.none()
        )
      ),
    generations: (service) => Effect.promise(() => generations(service)),
    remove: (of) => tried(() => remove(of))
  })
}
