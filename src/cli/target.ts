import { Args, HelpDoc } from "@effect/cli"
import { Effect, Schema } from "effect"
import { ComponentName, ServiceName } from "../domain/Names.ts"

export interface Target {
  readonly service: string
  /** Undefined: all of them. */
  readonly component: string | undefined
}

/** What a word is when it is no target: a mistyped option reaches us as one. */
const problem = (word: string, form: string) =>
  word.startsWith("-") ? `unknown option ${word}` : `"${word}" is not a target: expected ${form}`

const isName = Schema.is(ServiceName)
const isComponent = Schema.is(ComponentName)

const refuse = (word: string, form: string) => Effect.fail(HelpDoc.p(problem(word, form)))

export const service = Args.text({ name: "service" }).pipe(
  Args.mapEffect((word) => (isName(word) ? Effect.succeed(word) : refuse(word, 'a service, a-z, 0-9 and "-"'))),
  Args.withDescription("the service's name")
)

export const one = Args.text({ name: "target" }).pipe(
  Args.mapEffect((word) => {
    const [service, component, ...rest] = word.split("/")
    const good = isName(service) && (component === undefined || isComponent(component)) && rest.length === 0
    return good ? Effect.succeed<Target>({ service, component }) : refuse(word, "<service> or <service>/<component>")
  }),
  Args.withDescription("<service> or <service>/<component>")
)

export const some = Args.atLeast(one, 1)
export const any = Args.repeated(one)

export const format = ({ component, service }: Target): string =>
  component === undefined ? service : `${service}/${component}`

/** One entry a service, in the order given; a whole service swallows its components. */
export const grouped = (
  targets: ReadonlyArray<Target>
): ReadonlyArray<{ readonly service: string; readonly components: ReadonlyArray<string> }> => {
  const found = new Map<string, Set<string> | "all">()
  for (const { component, service } of targets) {
    const before = found.get(service)
    if (component === undefined) found.set(service, "all")
    else if (before !== "all") found.set(service, (before ?? new Set()).add(component))
  }
  return [...found].map(([service, components]) => ({
    service,
    components: components === "all" ? [] : [...components]
  }))
}
