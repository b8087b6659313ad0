import { Either } from "effect"
import { checkContainerNames } from "../domain/NodeRules.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import { formatPath, formatProblem, type Path, parse } from "../domain/Toml.ts"

interface Named {
  readonly file: string
  readonly text: string
  readonly spec: ServiceSpec
}

const place = ({ file, text }: Named, path: Path) =>
  Either.match(parse(file, text), { onLeft: () => ({}), onRight: (document) => document.place(path, "value") })

/** Container names that a definition's components would share with those of another one of the folder. */
export const collisions = (
  chosen: ReadonlyArray<Named>,
  folder: ReadonlyArray<ServiceSpec>
): ReadonlyArray<{ readonly file: string; readonly problem: string }> => {
  const others = folder.map(({ components, name }) => ({ service: name, components: components.map((c) => c.name) }))
  return chosen.flatMap((one) =>
    checkContainerNames(one.spec, others).map(({ message, path }) => ({
      file: one.file,
      problem: formatProblem({ file: one.file, ...place(one, path), key: formatPath(path), message })
    }))
  )
}
