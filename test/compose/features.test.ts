import { assert, describe, it } from "@effect/vitest"
import { bad, FILE, type Files, good, service, web } from "./support.ts"

interface Feature {
  readonly keys: string
  readonly more?: string
  readonly files?: Files
  /** The component, less name, image and restart. */
  readonly gives?: Readonly<Record<string, unknown>>
  /** `left_out services.web.labels`: all that is said. */
  readonly says?: ReadonlyArray<string>
  readonly steps?: ReadonlyArray<string>
}

const says = (outcome: string, ...keys: ReadonlyArray<string>) => keys.map((key) => `${outcome} services.web.${key}`)

const features: Readonly<Record<string, Readonly<Record<string, Feature>>>> = {
  ports: {
    "short, with an address, udp": {
      keys: 'ports:\n  - "8080:80"\n  - 127.0.0.1:8443:443\n  - 53:53/udp\n  - "[::1]:6000:6000"',
      gives: { ports: ["8080:80", "127.0.0.1:8443:443", "53:53/udp", "[::1]:6000:6000"] }
    },
    "ranges, one a port": { keys: 'ports: ["9090-9091:8080-8081"]', gives: { ports: ["9090:8080", "9091:8081"] } },
    "a host range for one port is its first": {
      keys: 'ports: ["3000-3005:80"]',
      gives: { ports: ["3000:80"] },
      says: says("changed", "ports[0]")
    },
    long: {
      keys: "ports:\n  - target: 80\n    published: 8080\n    host_ip: 127.0.0.1\n    protocol: tcp\n    mode: host\n    name: http",
      gives: { ports: ["127.0.0.1:8080:80"] },
      says: says("left_out", "ports[0].name")
    },
    "without a fixed host port a route": {
      keys: "ports:\n  - 3000\n  - target: 4000\n  - 5000/udp",
      gives: {
        routes: [
          { name: "web-3000", port: 3000, target: 3000 },
          { name: "web-4000", port: 4000, target: 4000 }
        ]
      },
      says: [...says("changed", "ports[0]", "ports[1]"), ...says("left_out", "ports[2]")]
    },
    "on the host's network none": {
      keys: 'network_mode: host\nports: ["80:80"]',
      gives: { network: "host" },
      says: says("left_out", "ports")
    },
    expose: { keys: 'expose: ["80"]', says: says("changed", "expose") }
  },
  volumes: {
    "bind mounts and :ro": {
      keys: "volumes:\n  - /etc/localtime:/etc/localtime:ro\n  - ./conf.d:/etc/nginx/conf.d:ro,z\n  - ./nginx.conf:/etc/nginx.conf",
      files: { "shop/conf.d": null, "shop/nginx.conf": "" },
      gives: {
        volumes: [
          "/etc/localtime:/etc/localtime:ro",
          "/srv/shop/conf.d:/etc/nginx/conf.d:ro",
          "/srv/shop/nginx.conf:/etc/nginx.conf"
        ]
      },
      says: [...says("left_out", "volumes[1]"), ...says("changed", "volumes[1]", "volumes[2]")],
      steps: ["mcp push -r shop/conf.d shop conf.d", "mcp push shop/nginx.conf shop nginx.conf"]
    },
    "above the project": {
      keys: "volumes: [../shared/x:/x]",
      gives: { volumes: ["/srv/shop/shared/x:/x"] },
      says: says("changed", "volumes[0]")
    },
    "named ones are folders, apart from those of binds": {
      keys: "volumes:\n  - ./data:/a\n  - data:/b\n  - cache:/c",
      more: "volumes: { data: , cache: { external: true } }",
      gives: { volumes: ["/srv/shop/data:/a", "/srv/shop/data-volume:/b", "/srv/shop/cache:/c"] },
      says: says("changed", "volumes[0]", "volumes[1]", "volumes[2]")
    },
    "without a source": {
      keys: "volumes: [/var/lib/x]",
      gives: { volumes: ["/srv/shop/web-var-lib-x:/var/lib/x"] },
      says: says("changed", "volumes[0]")
    },
    long: {
      keys: "volumes:\n  - { type: bind, source: ./a, target: /a, read_only: true, bind: { create_host_path: true } }\n  - { type: volume, source: v, target: /v, volume: { subpath: s, nocopy: true } }\n  - { type: tmpfs, target: /t, tmpfs: { size: 1m } }",
      more: "volumes: { v: }",
      gives: { volumes: ["/srv/shop/a:/a:ro", "/srv/shop/v/s:/v"] },
      says: [
        ...says("changed", "volumes[0]"),
        ...says("left_out", "volumes[0].bind.create_host_path"),
        ...says("changed", "volumes[1]"),
        ...says("left_out", "volumes[1].volume.nocopy", "volumes[2]", "volumes[2].tmpfs")
      ]
    },
    tmpfs: { keys: "tmpfs: /run", says: says("left_out", "tmpfs") }
  },
  environment: {
    map: {
      keys: 'environment:\n  A: text\n  B: 1.50\n  C: true\n  D: ""\n  E: 0o17\n  HERE:\n  NOT_HERE:',
      gives: { env: { A: "text", B: "1.5", C: "true", D: "", E: "15", HERE: "from here" } },
      says: says("left_out", "environment.NOT_HERE")
    },
    list: {
      keys: "environment:\n  - A=b=c\n  - HERE\n  - DOTENV\n  - NOT_HERE",
      gives: { env: { A: "b=c", HERE: "from here", DOTENV: "beside" } },
      says: says("left_out", "environment[3]")
    },
    "env files, over which environment goes": {
      keys: "env_file:\n  - one.env\n  - path: two.env\n    required: false\n  - path: none.env\n    required: false\nenvironment: { C: own }",
      files: { "shop/one.env": "A=1\nB=1\nC=1\nR=$A-${HERE}\n", "shop/two.env": "export B='two $A' # no\n" },
      gives: { env: { A: "1", B: "two $A", C: "own", R: "1-from here" } },
      says: [...says("changed", "env_file[0]", "env_file[1]"), ...says("advice", "env_file[2]")]
    },
    "what looks like a secret is told by its name alone": {
      keys: "environment: { DB_PASSWORD: hunter2, DB_PASSWORD_FILE: /run/secrets/x, SECRET_KEY_BASE: hunter2 }",
      gives: { env: { DB_PASSWORD: "hunter2", DB_PASSWORD_FILE: "/run/secrets/x", SECRET_KEY_BASE: "hunter2" } },
      says: says("advice", "environment.DB_PASSWORD", "environment.SECRET_KEY_BASE")
    }
  },
  "command and entrypoint": {
    "a text is split as a shell does, without one": {
      keys: "command: run --name 'two words' \"a \\\"b\\\"\" c\\ d ''",
      gives: { cmd: ["run", "--name", "two words", 'a "b"', "c d", ""] }
    },
    "lists as they are": {
      keys: 'entrypoint: ["/bin/sh", "-c"]\ncommand: ["echo $$HOME && true"]',
      gives: { entrypoint: ["/bin/sh", "-c"], cmd: ["echo $HOME && true"] }
    },
    "what is for a shell is told": {
      keys: "command: a && b",
      gives: { cmd: ["a", "&&", "b"] },
      says: says("advice", "command")
    },
    "null says nothing, empty is told": { keys: "command:\nentrypoint: []", says: says("left_out", "entrypoint") }
  },
  healthcheck: {
    "CMD with its times; Docker's where it says none": {
      keys: 'healthcheck:\n  test: ["CMD", "curl", "-f", "http://localhost:80/up"]\n  interval: 1m30s\n  retries: 5\n  start_period: 500ms',
      gives: {
        health: {
          ...{ cmd: ["curl", "-f", "http://localhost:80/up"], interval: "90s", timeout: "30s" },
          ...{ retries: 5, start_period: "500ms" }
        }
      }
    },
    "a line is for the container's own shell": {
      keys: "healthcheck: { test: curl -f http://localhost || exit 1, timeout: 3s, start_interval: 1s }",
      gives: { health: { cmd: ["sh", "-c", "curl -f http://localhost || exit 1"], interval: "30s", timeout: "3s" } },
      says: says("left_out", "healthcheck.start_interval")
    },
    "CMD-SHELL": {
      keys: 'healthcheck: { test: ["CMD-SHELL", "pg_isready -U $$USER"] }',
      gives: { health: { cmd: ["sh", "-c", "pg_isready -U $USER"], interval: "30s", timeout: "30s" } }
    },
    NONE: { keys: 'healthcheck: { test: ["NONE"] }' },
    "switched off": { keys: "healthcheck: { disable: true }" },
    "without a test": { keys: "healthcheck: { interval: 5s }", says: says("left_out", "healthcheck") }
  },
  "depends_on and links": {
    list: { keys: "depends_on: [db]", gives: { depends_on: ["db"] } },
    map: {
      keys: "depends_on:\n  db: { condition: service_healthy, restart: true, required: true }\n  gone: { required: false }",
      gives: { depends_on: ["db"] },
      says: says("left_out", "depends_on.db.restart", "depends_on.gone")
    },
    "a link is an order, its alias is told": {
      keys: 'links: ["db", "db:database"]',
      gives: { depends_on: ["db"] },
      says: says("left_out", "links[1]")
    }
  },
  secrets: {
    "names alone; values are set by hand": {
      keys: "secrets:\n  - password\n  - { source: key, target: api-key, mode: 0400 }\n  - given",
      more: "secrets:\n  password: { file: ./password.txt }\n  key: { environment: API_KEY }\n  given: { external: true }",
      files: { "shop/password.txt": "hunter2" },
      gives: { secrets: ["password", "api-key", "given"] },
      says: says("left_out", "secrets[1].mode"),
      steps: [
        "mcp secret set shop password < shop/password.txt",
        'printf %s "$API_KEY" | mcp secret set shop api-key',
        "mcp secret set shop given"
      ]
    }
  },
  configs: {
    "a file is mounted, others are told": {
      keys: "configs:\n  - { source: nginx, target: /etc/nginx.conf }\n  - inline",
      more: "configs:\n  nginx: { file: ./nginx.conf }\n  inline: { content: hello }",
      files: { "shop/nginx.conf": "" },
      gives: { volumes: ["/srv/shop/nginx.conf:/etc/nginx.conf:ro"] },
      says: [...says("changed", "configs[0]"), ...says("left_out", "configs[1]"), "left_out configs.inline.content"],
      steps: ["mcp push shop/nginx.conf shop nginx.conf"]
    }
  },
  restart: {
    "which deploy says as well": {
      keys: "deploy: { restart_policy: { condition: none } }",
      gives: { restart: "no" },
      says: says("left_out", "restart")
    },
    "deploy says it": {
      keys: "deploy: { restart_policy: { condition: on-failure, max_attempts: 3, delay: 5s, window: 2m } }",
      gives: { restart: "on-failure:3" },
      says: says("left_out", "restart", "deploy.restart_policy.delay", "deploy.restart_policy.window")
    }
  },
  resources: {
    limits: {
      keys: 'deploy:\n  resources:\n    limits: { cpus: "0.50", memory: 512M, pids: 10 }\n    reservations: { memory: 1g }',
      gives: { memory: "512m", cpus: 0.5 },
      says: says("left_out", "deploy.resources.limits.pids", "deploy.resources.reservations")
    },
    "the older keys": { keys: "mem_limit: 1gb\ncpus: 2", gives: { memory: "1g", cpus: 2 } },
    bytes: { keys: "mem_limit: 67108864", gives: { memory: "64m" } }
  },
  networks: {
    "of the file's own are the service's bridge": {
      keys: "networks:\n  back: { aliases: [w], ipv4_address: 10.0.0.2 }",
      more: "networks: { back: { driver: bridge, internal: true } }",
      says: [
        ...says("left_out", "networks.back.aliases", "networks.back.ipv4_address"),
        "left_out networks.back.internal"
      ]
    },
    "an external one": {
      keys: "networks: [proxy]",
      more: "networks: { proxy: { external: true, name: edge } }",
      gives: { network: "edge" },
      says: says("changed", "networks[0]")
    },
    "beside its own an external one is told": {
      keys: "networks: [back, proxy]",
      more: "networks: { back: , proxy: { external: true } }",
      says: says("left_out", "networks[1]")
    },
    none: { keys: "network_mode: none", gives: { network: "none" } },
    "of another container": { keys: 'network_mode: "service:db"', says: says("left_out", "network_mode") }
  },
  others: {
    "user and stop_grace_period": {
      keys: 'user: "1000:1000"\nstop_grace_period: 1m30s',
      gives: { user: "1000:1000", stop_timeout: "90s" }
    },
    "update order": {
      keys: "deploy: { update_config: { order: stop-first, parallelism: 2 } }",
      gives: { update_order: "stop-first" },
      says: says("left_out", "deploy.update_config.parallelism")
    },
    "start-first with a fixed port cannot be": {
      keys: 'ports: ["80:80"]\ndeploy: { update_config: { order: start-first } }',
      gives: { ports: ["80:80"] },
      says: says("left_out", "deploy.update_config.order")
    },
    replicas: { keys: "deploy: { replicas: 3, mode: replicated }", says: says("left_out", "deploy.replicas") },
    "labels of Traefik": { keys: "labels: { traefik.enable: true }", says: says("left_out", "labels") },
    "what a definition has nothing for": {
      keys: "privileged: true\ncap_add: [NET_ADMIN]\nworking_dir: /app\ncontainer_name: x\nx-own: 1\nprots: [80]",
      says: says("left_out", "privileged", "cap_add", "working_dir", "container_name", "x-own", "prots")
    }
  }
}

for (const [title, table] of Object.entries(features)) {
  describe(title, () => {
    for (const [what, { files = {}, gives = {}, keys, more, says = [], steps = [] }] of Object.entries(table)) {
      it(what, () => {
        const all = { [FILE]: service(keys, more), "shop/.env": "DOTENV=beside\nHERE=not this\n", ...files }
        const result = good(all, { env: { HERE: "from here" } })
        assert.deepStrictEqual(web(result), gives)
        assert.sameMembers([...result.outcomes], [...says])
        assert.deepStrictEqual(result.steps, steps)
      })
    }
  })
}

describe("services", () => {
  it("whose names MCP does not take get others, which what depends on them follows", () => {
    const { components, definition, lines } = good(
      "services:\n  My_App: { image: a:1, restart: always, depends_on: [my-app] }\n  my-app: { image: b:1, restart: always }"
    )
    assert.deepStrictEqual(components, ["my-app-2", "my-app"])
    assert.deepStrictEqual((definition.components as never)[0], {
      ...{ name: "my-app-2", image: "a:1", restart: "always", depends_on: ["my-app"] }
    } as never)
    assert.match(lines.join(), /^shop\/compose.yaml:2:3: services.My_App: the component is called my-app-2/)
  })

  it("of profiles that are not active are left out, and said", () => {
    const text =
      "services:\n  a: { image: a:1, restart: always, depends_on: [b] }\n  b: { image: b:1, restart: always, profiles: [dev, test] }"
    const without = good(text)
    assert.deepStrictEqual(without.components, ["a"])
    assert.deepStrictEqual(without.outcomes, ["left_out services.a.depends_on[0]", "left_out services.b"])
    for (const input of [{ profiles: ["test"] }, { profiles: ["*"] }, { env: { COMPOSE_PROFILES: "x, dev" } }])
      assert.deepStrictEqual([good(text, input).components, good(text, input).outcomes], [["a", "b"], []])
    assert.match(
      bad("services: { a: { image: a:1, profiles: [dev] } }")[0] ?? "",
      /:1:1: services: all are of profiles .*: dev$/
    )
  })

  it("that others wait for the end of are jobs", () => {
    const { definition, outcomes } = good(
      "services:\n  web: { image: a:1, restart: always, depends_on: { job: { condition: service_completed_successfully } } }\n  job: { image: b:1 }"
    )
    assert.deepInclude(definition.components as never, { name: "job", image: "b:1", restart: "no" })
    assert.deepStrictEqual(outcomes, [])
  })

  it("without a restart are not started again, as in compose, and it is said", () => {
    const { definition, outcomes } = good("services: { web: { image: a:1 } }")
    assert.deepStrictEqual((definition.components as never)[0], { name: "web", image: "a:1", restart: "no" } as never)
    assert.deepStrictEqual(outcomes, ["advice services.web"])
  })

  it("that are built get a path, [build.images] and a name", () => {
    const one = good(
      "services: { web: { build: ., restart: always }, api: { image: r.example/api:2, restart: always, build: { context: ., dockerfile: Dockerfile.api, args: { A: 1 } } } }"
    )
    assert.deepStrictEqual([one.definition.path, one.definition.build], [
      "shop",
      { images: { "shop-web": "Dockerfile", api: "Dockerfile.api" } }
    ] as never)
    assert.deepInclude(one.definition.components as never, {
      name: "web",
      image: "localhost/shop-web:v1",
      restart: "always"
    })
    assert.include(one.outcomes, "left_out services.api.build.args")
    assert.deepStrictEqual(one.steps, ["mcp build shop"])
    const apart = good(
      "services: { web: { build: ./web, restart: always }, api: { build: { context: api }, restart: always } }"
    )
    assert.deepStrictEqual([apart.definition.path, apart.definition.build], [
      "shop",
      { images: { "shop-web": "web/Dockerfile", "shop-api": "api/Dockerfile" } }
    ] as never)
  })
})

describe("restart", () => {
  it("is carried as it is, also with a number", () => {
    for (const [said, gives] of [["on-failure:3"], ["'no'", "no"], ["no"], ["unless-stopped", undefined], ["always"]]) {
      const { definition } = good(`services: { web: { image: a:1, restart: ${said} } }`)
      assert.strictEqual(
        (definition.components as ReadonlyArray<{ restart?: string }>)[0]?.restart,
        gives ?? (said === "unless-stopped" ? undefined : said)
      )
    }
    assert.match(
      bad("services: { web: { image: a:1, restart: sometimes } }")[0] ?? "",
      /:1:41: services.web.restart: expected no/
    )
  })
})

describe("the service's name", () => {
  const text = "services: { web: { image: a:1, restart: always } }"
  it("is --name's, the file's, the environment's or the folder's", () => {
    assert.strictEqual(good(text).service, "shop")
    assert.strictEqual(good(text, { folderName: "My Shop" }).service, "my-shop")
    assert.strictEqual(good(text, { env: { COMPOSE_PROJECT_NAME: "other" } }).service, "other")
    assert.strictEqual(good(`name: named\n${text}`).service, "named")
    assert.strictEqual(good(`name: named\n${text}`, { name: "said" }).service, "said")
    assert.match(bad(`name: mcp\n${text}`)[0] ?? "", /mcp is a name of MCP's own/)
  })
})
