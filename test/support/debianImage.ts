import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, realpathSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { temporaryFolder } from "./folder.ts"
import type { Podman } from "./podman.ts"

/** A program as an image: no image registry can be reached, but Debian has the same programs. */
export interface Program {
  readonly reference: string
  /** Names on the PATH. */
  readonly programs: ReadonlyArray<string>
  /** Links to the first of them, where the public image has it. */
  readonly links?: ReadonlyArray<string>
  readonly files?: Readonly<Record<string, string>>
  readonly folders?: ReadonlyArray<string>
  /** Lines of the image's config, as `podman import --change` takes them. */
  readonly config?: ReadonlyArray<string>
}

const librariesOf = (file: string) =>
  [...execFileSync("ldd", [file], { encoding: "utf8" }).matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path)

const copy = (root: string, file: string) => {
  const target = join(root, file)
  mkdirSync(dirname(target), { recursive: true })
  cpSync(realpathSync(file), target)
}

/** Builds it from the programs of this machine and the libraries that they load. */
export const build = (podman: Podman, { config, files, folders, links, programs, reference }: Program) =>
  Effect.gen(function* () {
    const root = join(temporaryFolder(), "rootfs")
    const paths = programs.map((name) => execFileSync("which", [name], { encoding: "utf8" }).trim())
    for (const file of new Set([...paths, ...paths.flatMap(librariesOf)])) copy(root, file)
    for (const folder of ["tmp", "etc", ...(folders ?? [])]) mkdirSync(join(root, folder), { recursive: true })
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/:/\n")
    for (const link of links ?? []) {
      mkdirSync(dirname(join(root, link)), { recursive: true })
      cpSync(realpathSync(paths[0] ?? ""), join(root, link))
    }
    for (const [file, text] of Object.entries(files ?? {})) {
      mkdirSync(dirname(join(root, file)), { recursive: true })
      writeFileSync(join(root, file), text)
    }
    const tar = `${root}.tar`
    execFileSync("tar", ["-C", root, "-cf", tar, "."])
    const changes = ["ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", ...(config ?? [])].flatMap((line) => ["-c", line])
    yield* podman.run("import", "-q", ...changes, tar, reference)
  })
