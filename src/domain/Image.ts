/** An image's name in its parts. */
export interface Image {
  readonly registry: string
  readonly repository: string
  readonly tag: string | undefined
  readonly digest: string | undefined
}

const component = "[a-z0-9]+(?:(?:\\.|_{1,2}|-+)[a-z0-9]+)*"
const form = new RegExp(
  `^(?:((?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{1,5})?)/)?(${component}(?:/${component})*)` +
    "(?::([\\w][\\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$"
)

/**
 * Reads an image reference by the grammar of the distribution project's `reference` package and resolves short names
 * as Docker does: without a registry (a first part with a dot, a port, or `localhost`) it is `docker.io`, and there a
 * lone name is below `library/`. Undefined when it has not that form.
 */
export const parse = (text: string): Image | undefined => {
  const slash = text.indexOf("/")
  const first = slash < 0 ? "" : text.slice(0, slash)
  const hasRegistry = /[.:]/.test(first) || first === "localhost"
  const match = form.exec(hasRegistry ? text : `docker.io/${slash < 0 ? "library/" : ""}${text}`)
  if (!match || text.length > 1024) return undefined
  const [, registry, repository, tag, digest] = match
  if (registry === undefined || repository === undefined) return undefined
  const lone = registry === "docker.io" && !repository.includes("/")
  return { registry, repository: lone ? `library/${repository}` : repository, tag, digest }
}

export const format = (image: Image): string =>
  `${image.registry}/${image.repository}${image.tag ? `:${image.tag}` : ""}${image.digest ? `@${image.digest}` : ""}`

/** What to show as the version: the tag, else the start of the digest, else `latest`. */
export const version = (reference: string): string => {
  const image = parse(reference)
  return image?.tag ?? image?.digest?.slice(7, 19) ?? "latest"
}

/** The last part of an image's name, without tag and digest. */
export const baseName = (reference: string): string | undefined => parse(reference)?.repository.split("/").at(-1)

/** A name that may mean another image tomorrow. */
export const isFloating = (reference: string): boolean => {
  const image = parse(reference)
  return image !== undefined && image.digest === undefined && (image.tag === undefined || image.tag === "latest")
}
