import { ServiceSpec } from "../domain/Spec.ts"
import { ofFile } from "./jsonSchema.ts"
import type { Table } from "./Table.ts"

/** Every key of a service definition. */
export const definition: Table<typeof ServiceSpec.Encoded> = {
  about: "A service: `<services dir>/<name>.toml`.",
  keys: {
    name: "The service's name, which must be the file's name too.",
    node: "The node that it runs on. Without it the only configured node.",
    tier: "Where a fleet places a service without a node. Stored; there is no fleet yet.",
    active: "The desired state: true is running, false stopped. `mcp start` and `mcp stop` edit this line.",
    comment: "What the service is for; `mcp status` shows it.",
    path: "The source folder, below `[build] workspace` of the CLI's config; `mcp build` starts there.",
    build: {
      about: "How `mcp build` makes images.",
      keys: {
        images:
          "An image's base name (the last part of its name, without the tag), and the Dockerfile in `path` that it is built from. The components say its full name."
      }
    },
    components: {
      about: "A container of the service; at least one.",
      keys: {
        name: "The container is called `<service>-<name>`, or just `<service>` when both are equal.",
        image: "A tag or a digest. `nginx` is `docker.io/library/nginx`; `latest` gets a warning.",
        network: "A podman network, made when missing, or `host` or `none`. Absent: the service's own bridge.",
        user: "The user, and the group after a colon, that the program runs as. Absent: as the image says.",
        restart:
          "What the agent does when the container ends: `no`, `on-failure`, `on-failure:N`, `unless-stopped` or `always`. It waits 1 s, doubling to 60 s.",
        ports: "Published ports: `[ip:]host:container[/udp]`.",
        volumes: "Mounts: `/host/path:/container/path[:ro]`.",
        cmd: "Arguments of the program, each a text of its own. Absent: the image's.",
        entrypoint: "The program, instead of the image's.",
        env: "Environment variables: a table of names and texts, or an array of `K=V`.",
        secrets:
          "Names of secrets, each a file at `/run/secrets/<name>` in the container; `mcp secret set` gives them their values.",
        memory: "The most memory that it gets: a number with `k`, `m` or `g`, powers of 1024. Swap is not added to it.",
        cpus: "How many CPUs it may use; `1.5` is one and a half.",
        depends_on: "Components of the same service that are started, and healthy, before it.",
        stop_timeout: "How long it may take to end after SIGTERM, before SIGKILL.",
        drain_timeout: "How long the proxy lets requests end that the old container still answers.",
        settle: "Without a health check: up for this long means ready.",
        update_order:
          "`start-first` replaces without a gap, `stop-first` never runs two at once. Absent: start-first for what has routes, no `network`, no `ports`, no volume that it writes, and no component that depends on it; else stop-first.",
        health: {
          about: "When the component is ready, and healthy later on. Exactly one of `http`, `tcp` and `cmd`.",
          keys: {
            http: "A path that answers with 200 to 399.",
            tcp: "`true`: the port takes connections.",
            cmd: "A program in the container that ends with 0.",
            port: "For http and tcp: a container port, or a route's name.",
            interval: "Between two probes.",
            timeout: "Of one probe.",
            retries: "So many failures in a row mean unhealthy.",
            start_period: "Failures do not count for this long after the start."
          }
        },
        routes: {
          about: "A host name and port of the node's proxy that lead to the component.",
          keys: {
            name: "Gives the container `$PORT_<NAME>`. A lone route gives `$PORT` and may have no name.",
            port: "Where the proxy listens.",
            target: "Where the program listens. Absent: on `$PORT`, which the agent allocates.",
            mode: "`l4` passes TLS through, `l7` ends it at the proxy. Absent: the proxy driver's first.",
            hostname: "Absent: `<service>.<zone>`, which needs a DNS zone in the agent's config.",
            public: "In a fleet: routed on an edge node too. Stored; there is no fleet yet."
          }
        }
      }
    },
    snapshot: {
      about: "What `mcp snapshot create` copies of the service's folder.",
      keys: {
        method: "`exec`: the program below runs first; `full`: all files; absent: `*.toml`, `*.db` and `*.pem` only.",
        cmd: "A program, run inside `component`.",
        component: "Where `cmd` runs.",
        excludes: "Patterns of files that are left out."
      }
    }
  }
}

export const definitionSchema = () => ofFile("A service definition of MCP", ServiceSpec, definition)
