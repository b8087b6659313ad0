import { checkContainerNames } from "../domain/ServiceRules.ts"
import type { ServiceSpec } from "../domain/Spec.ts"

interface Named {
  readonly file: string
  readonly text: string
  readonly spec: ServiceSpec
}

/** The line on which a component's table starts; the first one when it cannot be told. */
const lineOf = (text: string, path: ReadonlyArray<PropertyKey>): number => {
  const index = path[0] === "components" && typeof path[1] === "number" ? path[1] : undefined
  const lines = text.split("\n")
  const starts = lines.flatMap((line, i) => (/^\s*\[\[\s*components\s*\]\]/.test(line) ? [i + 1] : []))
  return (index === undefined ? undefined : starts[index]) ?? 1
}

/** Container names that a definition's components would share with those of another one of the folder. */
export const collisions = (
  chosen: ReadonlyArray<Named>,
  folder: ReadonlyArray<{ readonly spec: ServiceSpec }>
): ReadonlyArray<{ readonly file: string; readonly problem: string }> =>
  chosen.flatMap(({ file, spec, text }) => {
    const others = folder
      .filter((other) => other.spec.name !== spec.name)
      .map((other) => ({ service: other.spec.name, components: other.spec.components.map((c) => c.name) }))
    return checkContainerNames(spec, others).map(({ message, path }) => ({
      file,
      problem: `${file}:${lineOf(text, path)}:1: ${path.join(".")}: ${message}`
    }))
  })
