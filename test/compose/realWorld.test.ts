import { assert, describe, it } from "@effect/vitest"
import { FILE, good } from "./support.ts"

describe("a compose file as people write them", () => {
  it("of a blog with its database comes over whole", () => {
    const text = `version: "3.1"

services:
  wordpress:
    image: wordpress:\${WORDPRESS_TAG:-6.4-apache}
    restart: always
    ports:
      - 8080:80
    environment:
      WORDPRESS_DB_HOST: db
      WORDPRESS_DB_USER: exampleuser
      WORDPRESS_DB_PASSWORD_FILE: /run/secrets/db_password
      WORDPRESS_DB_NAME: exampledb
    volumes:
      - wordpress:/var/www/html
      - ./uploads.ini:/usr/local/etc/php/conf.d/uploads.ini:ro
    secrets: [db_password]
    depends_on:
      db:
        condition: service_healthy

  db:
    image: mysql:8.0
    restart: always
    command: --default-authentication-plugin=mysql_native_password
    environment:
      MYSQL_DATABASE: exampledb
      MYSQL_USER: exampleuser
      MYSQL_PASSWORD_FILE: /run/secrets/db_password
      MYSQL_RANDOM_ROOT_PASSWORD: '1'
    volumes:
      - db:/var/lib/mysql
    secrets: [db_password]
    healthcheck:
      test: ["CMD", "mysqladmin", "ping", "-h", "localhost"]
      interval: 10s
      timeout: 5s
      retries: 5

volumes:
  wordpress:
  db:

secrets:
  db_password:
    file: ./db_password.txt
`
    const result = good({ [FILE]: text, "shop/uploads.ini": "", "shop/db_password.txt": "hunter2" }, { name: "blog" })
    assert.strictEqual(
      result.text,
      `#:schema ./.definition.schema.json
# Imported from compose.yaml.
name = "blog"
active = true

[[components]]
name = "wordpress"
image = "wordpress:6.4-apache"
restart = "always"
ports = ["8080:80"]
volumes = [
  "/srv/blog/wordpress:/var/www/html",
  "/srv/blog/uploads.ini:/usr/local/etc/php/conf.d/uploads.ini:ro",
]
secrets = ["db_password"]
depends_on = ["db"]

[components.env]
WORDPRESS_DB_HOST = "db"
WORDPRESS_DB_USER = "exampleuser"
WORDPRESS_DB_PASSWORD_FILE = "/run/secrets/db_password"
WORDPRESS_DB_NAME = "exampledb"

[[components]]
name = "db"
image = "mysql:8.0"
restart = "always"
volumes = ["/srv/blog/db:/var/lib/mysql"]
cmd = ["--default-authentication-plugin=mysql_native_password"]
secrets = ["db_password"]

[components.env]
MYSQL_DATABASE = "exampledb"
MYSQL_USER = "exampleuser"
MYSQL_PASSWORD_FILE = "/run/secrets/db_password"
MYSQL_RANDOM_ROOT_PASSWORD = "1"

[components.health]
cmd = ["mysqladmin", "ping", "-h", "localhost"]
interval = "10s"
timeout = "5s"
retries = 5
`
    )
    assert.deepStrictEqual(result.lines, [
      "shop/compose.yaml:1:1: version: compose reads it no more",
      "shop/compose.yaml:15:9: services.wordpress.volumes[0]: the volume wordpress is the folder /srv/blog/wordpress on the node; it starts empty, also where the image has files",
      "shop/compose.yaml:16:9: services.wordpress.volumes[1]: ./uploads.ini is /srv/blog/uploads.ini on the node; push what is here there, before the first deploy",
      "shop/compose.yaml:32:9: services.db.volumes[0]: the volume db is the folder /srv/blog/db on the node; it starts empty, also where the image has files"
    ])
    assert.deepStrictEqual(result.steps, [
      "mcp push shop/uploads.ini blog uploads.ini",
      "mcp secret set blog db_password < shop/db_password.txt"
    ])
    // A secret's value is nowhere.
    assert.notInclude(JSON.stringify(result), "hunter2")
  })

  it("of a file server with cache, cron job, proxy and migration comes over whole", () => {
    const text = `
name: cloud
x-app: &app
  image: nextcloud:28-fpm
  restart: unless-stopped
  env_file: [db.env]
  environment: &env
    REDIS_HOST: redis
    OVERWRITEPROTOCOL: https
  volumes: [nextcloud:/var/www/html:z]
  networks: [backend]

services:
  app:
    <<: *app
    depends_on:
      migrate: { condition: service_completed_successfully }
      redis: { condition: service_started }
    deploy:
      resources: { limits: { cpus: '1.5', memory: 1G } }
  cron:
    <<: *app
    entrypoint: /cron.sh
    depends_on: [app]
  migrate:
    <<: *app
    restart: on-failure
    command: php occ upgrade --no-interaction
    depends_on: { redis: { condition: service_healthy } }
  redis:
    image: redis:7-alpine
    restart: unless-stopped
    command: ["redis-server", "--save", "", "--appendonly", "no"]
    networks: [backend]
    tmpfs: /data
    healthcheck:
      test: redis-cli ping | grep PONG
      start_period: 5s
  web:
    build: { context: ./web }
    restart: unless-stopped
    networks: { backend: , proxy: { aliases: [cloud] } }
    volumes_from: ["app:ro"]
    expose: [80]
    labels:
      traefik.enable: "true"
      traefik.http.routers.cloud.rule: Host(\`cloud.example.net\`)
    logging: { driver: json-file, options: { max-size: 10m } }
networks:
  backend: { internal: true }
  proxy: { external: true }
volumes:
  nextcloud: { driver: local }
`
    const result = good({ [FILE]: text, "shop/db.env": "MYSQL_PASSWORD=hunter2\nMYSQL_HOST=db.example.net\n" })
    const app = {
      ...{ image: "nextcloud:28-fpm", volumes: ["/srv/cloud/nextcloud:/var/www/html"] },
      env: {
        ...{ MYSQL_PASSWORD: "hunter2", MYSQL_HOST: "db.example.net" },
        ...{ REDIS_HOST: "redis", OVERWRITEPROTOCOL: "https" }
      }
    }
    assert.deepStrictEqual(result.definition, {
      name: "cloud",
      active: true,
      path: "shop/web",
      build: { images: { "cloud-web": "Dockerfile" } },
      components: [
        { name: "app", ...app, memory: "1g", cpus: 1.5, depends_on: ["migrate", "redis"] },
        { name: "cron", ...app, entrypoint: ["/cron.sh"], depends_on: ["app"] },
        {
          ...{ name: "migrate", ...app, restart: "no", depends_on: ["redis"] },
          cmd: ["php", "occ", "upgrade", "--no-interaction"]
        },
        {
          ...{ name: "redis", image: "redis:7-alpine", cmd: ["redis-server", "--save", "", "--appendonly", "no"] },
          health: {
            ...{ cmd: ["sh", "-c", "redis-cli ping | grep PONG"], interval: "30s", timeout: "30s" },
            start_period: "5s"
          }
        },
        { name: "web", image: "localhost/cloud-web:v1" }
      ]
    })
    assert.deepStrictEqual(result.outcomes.map((outcome) => outcome.replace("services.", "")).sort(), [
      "advice app.env_file[0]",
      "advice cron.env_file[0]",
      "advice migrate.env_file[0]",
      "changed app.env_file[0]",
      "changed app.volumes[0]",
      "changed build",
      "changed cron.env_file[0]",
      "changed cron.volumes[0]",
      "changed migrate",
      "changed migrate.env_file[0]",
      "changed migrate.volumes[0]",
      "changed web.build",
      "changed web.expose",
      "left_out app.volumes[0]",
      "left_out cron.volumes[0]",
      "left_out migrate.volumes[0]",
      "left_out networks.backend.internal",
      "left_out redis.tmpfs",
      "left_out web.labels",
      "left_out web.logging",
      "left_out web.networks.proxy",
      "left_out web.networks.proxy.aliases",
      "left_out web.volumes_from",
      "left_out x-app"
    ])
    assert.deepStrictEqual(result.steps, ["mcp build cloud"])
  })
})
