import { image } from "../support/podman.ts"

/** A version of service `shop`, as its definition; `undefined` where there is to be no service. */
export type Version = string | undefined

/** One way to change a service: what it is before, what is typed, and what it may be after a crash. */
export interface Kind {
  readonly name: string
  readonly before: ReadonlyArray<Version>
  readonly act: ReadonlyArray<string>
  /** The definition as it lies in the folder when the act begins. */
  readonly defined: Version
  readonly may: ReadonlyArray<Version>
  /** The service's data as a snapshot has it, as it is when the act begins, and what it may be after a crash. */
  readonly data?: { readonly kept: string; readonly now: string; readonly may: ReadonlyArray<string> }
}

const component = (name: string, version: number, lines: ReadonlyArray<string> = []) =>
  [
    "[[components]]",
    `name = "${name}"`,
    `image = "${image}"`,
    `cmd = ["httpd", "-f", "-p", "8080", "-h", "/www"]`,
    `env = { VERSION = "${version}" }`,
    `settle = "50ms"`,
    `stop_timeout = "0s"`,
    ...lines
  ].join("\n")

const service = (...components: ReadonlyArray<string>) => ['name = "shop"', ...components, ""].join("\n")
const route = `[[components.routes]]\nport = 443\ntarget = 8080\nhostname = "shop.example"`
const startFirst = (n: number) => service(component("web", n, ['update_order = "start-first"', route]))
const stopFirst = (n: number) => service(component("web", n, ['update_order = "stop-first"', route]))
const job = `[[components]]\nname = "job"\nimage = "${image}"\ncmd = ["true"]\nrestart = "no"`
const mixed = (n: number, more: ReadonlyArray<string> = []) =>
  service(
    component("web", n, ['update_order = "start-first"', 'depends_on = ["db"]', ...more, route]),
    component("db", n, ['ports = ["127.0.0.1:18732:8080"]']),
    job
  )
/** What cannot become ready: its health check never passes. */
const unhealthy = (n: number) =>
  mixed(n).replace(
    `[[components.routes]]`,
    `[components.health]\nhttp = "/absent"\nport = 8080\nretries = 1\ninterval = "50ms"\nstart_period = "50ms"\n[[components.routes]]`
  )

const kept = (n: number) => mixed(n).replace("[[components]]", '[snapshot]\nmethod = "full"\n[[components]]')

const deploy = ["deploy", "shop"]

/** Every kind of deployment, and what is done with a service's data; `n` keeps one round's versions apart from the last one's. */
export const kinds = (n: number): ReadonlyArray<Kind> => {
  const [a, b] = [2 * n, 2 * n + 1]
  const replaced = (name: string, version: (n: number) => string): Kind => ({
    ...{ name, before: [version(a)], act: deploy, defined: version(b) },
    may: [version(a), version(b)]
  })
  return [
    { name: "create", before: [undefined], act: deploy, defined: mixed(a), may: [undefined, mixed(a)] },
    replaced("start-first", startFirst),
    replaced("stop-first", stopFirst),
    replaced("mixed, three components", mixed),
    {
      ...{ name: "a version that fails", before: [mixed(a)], act: deploy, defined: unhealthy(b) },
      may: [mixed(a)]
    },
    {
      ...{ name: "rollback", before: [mixed(a), mixed(b)], act: ["rollback", "shop"], defined: mixed(b) },
      may: [mixed(a), mixed(b)]
    },
    {
      ...{ name: "undeploy", before: [mixed(a)], act: ["undeploy", "shop", "--yes"], defined: mixed(a) },
      may: [undefined, mixed(a)]
    },
    {
      ...{ name: "snapshot", before: [kept(a)], act: ["snapshot", "create", "shop"], defined: kept(a), may: [kept(a)] },
      data: { kept: `${a}`, now: `${b}`, may: [`${b}`] }
    },
    {
      ...{ name: "restore", before: [kept(a)], act: ["snapshot", "restore", "shop", "--yes"], defined: kept(a) },
      ...{ may: [kept(a)], data: { kept: `${a}`, now: `${b}`, may: [`${a}`, `${b}`] } }
    }
  ]
}
