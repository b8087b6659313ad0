import * as Image from "../../domain/Image.ts"
import {
  type ImageRegistryError,
  ImageRegistryFailed,
  ImageRegistryUnauthorized,
  ImageRegistryUnreachable,
  ImageRegistryUntrusted
} from "../../services/BuildError.ts"

/* podman's words for what becomes of images, seen on 4.3. */

const passedThrough = [
  /^\s*(?:Error|\* ?)[:\s]*/,
  /^\d+ errors? occurred:\s*/,
  /^(?:getting repository tags|fetching tags list|creating build container|failed to create client): /,
  /^(?:initializing source|initializing destination|writing blob|reading manifest|trying to reuse blob) [^:\s]*(?::\S+)*(?: in \S+| at destination)?: /,
  /^checking whether a blob \S+ exists in \S+: /,
  /^(?:unable to retrieve auth token|pinging container registry \S+|determining manifest MIME type for \S+): /,
  /^(?:Get|Head|Put|Post|Patch) "[^"]*": /
]

/** The error that podman ended with, whole. */
export const errorOf = (lines: ReadonlyArray<string>): string => {
  const at = lines.findLastIndex((line) => line.startsWith("Error: "))
  return (at < 0 ? lines.slice(-1) : lines.slice(at)).join("\n").trim()
}

/** The same without the layers that it passed through: one line for people. */
export const reasonOf = (error: string): string => {
  let text = error.replace(/\s*\n\s*/g, " ").trim()
  for (let before = ""; before !== text; ) {
    before = text
    for (const prefix of passedThrough) text = text.replace(prefix, "")
  }
  return text.length > 300 ? `${text.slice(0, 299)}…` : text
}

const unauthorized =
  /unauthorized|authentication required|invalid username\/password|access to the resource is denied|\bdenied: |status(?: code from registry)?:? 40[13]\b/i
const untrusted =
  /x509: |server gave HTTP response to HTTPS client|first record does not look like a TLS handshake|remote error: tls/i
const unreachable =
  /connection refused|no such host|i\/o timeout|no route to host|network is unreachable|connection reset|timed? ?out|deadline exceeded|unexpected EOF|: EOF\b|server misbehaving|proxyconnect/i
const asked = /docker:\/\/([^\s"]+?)"?:?(?:\s|$)/
const pinged = /pinging container registry ([^\s:]+(?::\d+)?)[:\s]/

/** What keeps podman from reading its credentials; it would quote a piece of them. */
const credentialsProblem = (error: string): string | undefined => {
  const absent = /stat (\S*): no such file or directory/.exec(error)?.[1]
  if (absent !== undefined && absent === process.env.REGISTRY_AUTH_FILE) {
    return `there is no file ${absent}, which REGISTRY_AUTH_FILE names`
  }
  const broken = /reading JSON file "([^"]*)"/.exec(error)?.[1]
  return broken === undefined ? undefined : `the file of credentials ${broken} is no JSON; move it away`
}

/** What podman's error says of the image registry that it asked; undefined when it is about something else. */
export const registryError = (error: string, reference: string): ImageRegistryError | undefined => {
  const image = asked.exec(error)?.[1] ?? reference
  const registry = pinged.exec(error)?.[1] ?? Image.parse(image)?.registry ?? image
  const credentials = credentialsProblem(error)
  if (credentials !== undefined) return new ImageRegistryUnauthorized({ registry, image, why: credentials })
  const why = reasonOf(error)
  if (untrusted.test(error)) return new ImageRegistryUntrusted({ registry, why })
  if (unauthorized.test(error)) return new ImageRegistryUnauthorized({ registry, image, why })
  if (unreachable.test(error)) return new ImageRegistryUnreachable({ registry, why })
  return /registry|repository|manifest|blob/.test(error) ? new ImageRegistryFailed({ registry, image, why }) : undefined
}

/** Whether a build failed over a base image rather than in one of its steps. */
export const isOfBaseImage = (error: string): boolean =>
  /^Error: (?:creating build container|.*pinging container registry)/.test(error)

/** A repository that nothing was pushed to yet. */
export const isUnknownRepository = (error: string): boolean =>
  /repository name not known|NAME_UNKNOWN|status code from registry 404/i.test(error)

const step = /^(?:\[\d+\/\d+\] )?STEP \d+\/\d+: /

export const isStep = (line: string): boolean => step.test(line)

const inStep = [
  /^while running runtime: /,
  // Of what is to be copied; the name is as the Dockerfile has it, below the context folder.
  /^checking on sources under "[^"]*": (?:copier: )?(?:stat: )?/
]

/** Why a build failed, in one line. */
export const buildReason = (error: string): string => {
  const [, step, text] = /building at STEP "(.*?)": ([\s\S]*)$/.exec(error) ?? []
  if (step === undefined) return reasonOf(error)
  const why = inStep.reduce((left, prefix) => left.replace(prefix, ""), reasonOf(text ?? ""))
  return `${why} at the step ${step.length > 120 ? `${step.slice(0, 119)}…` : step}`
}

/** What the last step wrote. */
export const lastStep = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines
    .slice(lines.findLastIndex(isStep) + 1)
    .filter((line) => line.trim() !== "" && !/^(?:--> |Error: |time="[^"]*" level=)/.test(line))
    .slice(-12)
