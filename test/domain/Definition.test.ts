import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import { formatProblem, parseDefinition } from "../../src/domain/Definition.ts"

const problems = (text: string, expectedName = "shop") =>
  Either.match(parseDefinition({ file: "shop.toml", text, expectedName }), {
    onLeft: (all) => all.map(formatProblem),
    onRight: () => []
  })

const web = (lines: string) => `name = "shop"\n[[components]]\nname = "web"\nimage = "nginx:1"\n${lines}\n`
/** What is said of line 5 of a definition that is right up to there. */
const said = (lines: string) => problems(web(lines)).map((line) => line.replace("shop.toml:", ""))

describe("a definition with mistakes", () => {
  it("gets all of them at once, each with file, line, column, key and what was expected", () => {
    const text = [
      'name = "shop"',
      "activ = true",
      'node = "UPPER"',
      "[[components]]",
      'name = "web"',
      'image = "Nginx Image"',
      'prots = ["80:80"]',
      'ports = ["8080:80", "x"]',
      'depends_on = ["worker", "nope"]',
      "env = { SECRET = 12345 }",
      'memory = "lots"',
      "[[components]]",
      'name = "worker"',
      'ports = ["127.0.0.1:8080:90"]',
      'depends_on = ["web"]',
      'image = "nginx"',
      "[components.health]",
      'http = "healthz"',
      "interval = 5"
    ].join("\n")
    assert.deepStrictEqual(problems(text), [
      'shop.toml:2:1: activ: unknown key; did you mean "active"?',
      'shop.toml:3:8: node: expected a service name: 1 to 63 of a-z, 0-9 and "-", with a letter or digit first and last, found "UPPER"',
      'shop.toml:6:9: components[0].image: expected an image reference such as registry.example/app:v1, found "Nginx Image"',
      'shop.toml:7:1: components[0].prots: unknown key; did you mean "ports"?',
      'shop.toml:8:21: components[0].ports[1]: expected [ip:]host:container[/udp], ports 1 to 65535, found "x"',
      "shop.toml:9:14: components[0].depends_on: a cycle: web → worker → web",
      "shop.toml:9:25: components[0].depends_on[1]: there is no component nope; there are web, worker",
      "shop.toml:10:18: components[0].env.SECRET: expected a text, found a number",
      'shop.toml:11:10: components[0].memory: expected a size such as "512m" or "2g", at least "4m", found "lots"',
      "shop.toml:14:10: components[1].ports[0]: host port 8080 is taken by component web",
      'shop.toml:18:8: components[1].health.http: expected a path that starts with "/", found "healthz"',
      'shop.toml:19:12: components[1].health.interval: expected a duration such as "500ms", "10s", "1m30s" or "2h", found 5'
    ])
  })

  it("never shows a value of the environment", () => {
    assert.notInclude(said('env = ["TOKEN=hunter2", "hunter2"]').join(), "hunter2")
    assert.notInclude(said("env = { TOKEN = 77777 }").join(), "77777")
  })

  it.each([
    ['ports = "80:80"', '5:9: components[0].ports: expected an array, found "80:80"'],
    ["cpus = 0", "5:8: components[0].cpus: expected a number of CPUs above 0, found 0"],
    [
      'restart = "sometimes"',
      '5:11: components[0].restart: expected one of "no", "on-failure", "on-failure:N", "unless-stopped", "always", found "sometimes"'
    ],
    [
      'update_order = "first"',
      '5:16: components[0].update_order: expected "start-first" or "stop-first", found "first"'
    ],
    [
      'volumes = ["/srv/../etc:/etc"]',
      '5:12: components[0].volumes[0]: expected source:target[:ro], both absolute and without . or .. (source may name a volume), found "/srv/../etc:/etc"'
    ],
    ['volumes = ["/a:/x", "/b:/x/"]', "5:21: components[0].volumes[1]: another volume is mounted at /x"],
    ['network = "none"\nports = ["1:1"]', '6:9: components[0].ports: ports cannot be mapped on network "none"'],
    ['health = { http = "/", tcp = true }', "5:10: components[0].health: needs exactly one of http, tcp and cmd"],
    [
      'ports = ["1:80", "2:81"]\nhealth = { tcp = true }',
      "6:10: components[0].health: needs port: a container port of ports, or a route's name"
    ],
    [
      'ports = ["1:80"]\nhealth = { tcp = true, port = 81 }',
      "6:31: components[0].health.port: 81 is neither a container port of ports nor a route's name or target"
    ],
    [
      'ports = ["1:80"]\nupdate_order = "start-first"',
      "6:16: components[0].update_order: start-first cannot be with a fixed host port: two would need it at once"
    ],
    [
      'network = "none"\nroutes = [{ port = 443 }]',
      '6:10: components[0].routes: a route needs a network; this component has "none"'
    ],
    ["routes = [{ port = 443 }, { port = 444 }]", "5:11: components[0].routes[0]: one of several routes needs a name"],
    ['depends_on = ["web"]', "5:14: components[0].depends_on: a cycle: web → web"]
  ])("%s", (lines, expected) => {
    assert.include(said(lines), expected)
  })

  it("two components under one container name are refused", () => {
    const text = 'name = "a"\n[[components]]\nname = "a"\nimage = "x:1"\n[[components]]\nname = "a"\nimage = "x:1"\n'
    assert.deepStrictEqual(problems(text, "a"), ["shop.toml:6:8: components[1].name: there is a component a already"])
  })

  it("a file must be called as its service, and MCP's own names are not free", () => {
    assert.deepStrictEqual(problems(web(""), "blog"), [
      'shop.toml:1:8: name: expected "blog", as the file is called, found "shop"'
    ])
    assert.include(problems(web("").replace("shop", "mcp-agent"), "mcp-agent")[0], "is a name of MCP's own")
  })

  it("what is missing is said where it belongs", () => {
    assert.deepStrictEqual(problems('name = "shop"\n[[components]]\nname = "web"\n'), [
      "shop.toml:2:1: components[0].image: is missing"
    ])
    assert.deepStrictEqual(problems("", "shop"), [
      "shop.toml:1:1: name: is missing",
      "shop.toml:1:1: components: is missing"
    ])
  })

  it("a text that is no TOML is placed as well", () => {
    assert.match(problems('name = "shop"\nactive = tru\n')[0] ?? "", /^shop\.toml:2:10: not TOML: /)
  })
})

describe("a mistake in one place hides none in another", () => {
  it.each<[string, ReadonlyArray<string>]>([
    [
      'ports = ["x", "80:80", "80:81"]',
      [
        '5:10: components[0].ports[0]: expected [ip:]host:container[/udp], ports 1 to 65535, found "x"',
        "5:24: components[0].ports[2]: host port 80 is taken by component web"
      ]
    ],
    [
      "routes = [3, { name = 'a' }, { name = 'r', port = 1 }, { name = 'r', port = 2 }]",
      [
        "5:11: components[0].routes[0]: expected a table, found 3",
        "5:14: components[0].routes[1].port: is missing",
        "5:65: components[0].routes[3].name: there is a route r already"
      ]
    ],
    // The port that was meant may be the one that cannot be read.
    [
      'ports = ["x"]\nhealth = { tcp = true, port = 80 }',
      ['5:10: components[0].ports[0]: expected [ip:]host:container[/udp], ports 1 to 65535, found "x"']
    ],
    [
      'cpus = "x"\n[snapshot]\nmethod = "exec"\ncomponent = "nope"',
      [
        '5:8: components[0].cpus: expected a number, found "x"',
        "6:1: snapshot: method exec needs cmd",
        "8:13: snapshot.component: there is no component nope"
      ]
    ],
    // Which components there are is not known when one has no name.
    [
      'depends_on = ["db"]\n[[components]]\nimage = "db:1"\nvolumes = ["/a:/x", "/b:/x"]',
      ["6:1: components[1].name: is missing", "8:21: components[1].volumes[1]: another volume is mounted at /x"]
    ],
    [
      'stop_timeout = "99999d"\nhealth = 5',
      [
        '5:16: components[0].stop_timeout: expected a duration of at most 3650d, found "99999d"',
        "6:10: components[0].health: expected a table, found 5"
      ]
    ]
  ])("%s", (lines, expected) => {
    assert.deepStrictEqual(said(lines), expected)
  })

  it("a component that is no table is told by its own place, as the others are by theirs", () => {
    const text = 'name = "shop"\ncomponents = [5, { name = "web", image = "x:1", depends_on = ["web"] }]'
    assert.deepStrictEqual(problems(text), [
      "shop.toml:2:15: components[0]: expected a table, found 5",
      "shop.toml:2:62: components[1].depends_on: a cycle: web → web"
    ])
  })
})

describe("a text that no operator would write", () => {
  it.each([
    ["arrays", `${"[".repeat(20_000)}${"]".repeat(20_000)}`],
    ["tables", `${"{ a = ".repeat(20_000)}1${" }".repeat(20_000)}`]
  ])("is told as such when it nests %s by the thousand", (_, value) => {
    assert.deepStrictEqual(problems(web(`x = ${value}`)), ["shop.toml: not TOML: nested too deeply"])
  })

  it.each(["__proto__ = 1", "env = { __proto__ = 'x' }", "__proto__.cmd = ['x']", "[__proto__]", "[x.'__proto__'.y]"])(
    "loses no key on the way: %s",
    (lines) => assert.match(said(lines).join(), /^5:\d+: __proto__ cannot be a key$/)
  )
})

describe("a definition that is right", () => {
  it("has its defaults filled in, its image resolved and a floating tag warned of", () => {
    const read = Either.getOrThrow(parseDefinition({ file: "shop.toml", text: web("").replace("nginx:1", "nginx") }))
    const [component] = read.spec.components
    assert.deepInclude(component, {
      image: "docker.io/library/nginx",
      restart: "unless-stopped",
      stopTimeout: 10_000,
      drainTimeout: 30_000,
      settle: 1_000
    })
    assert.deepStrictEqual(read.warnings.map(formatProblem), [
      "shop.toml:4:9: components[0].image: docker.io/library/nginx may be another image tomorrow; name a version or a digest"
    ])
  })
})
