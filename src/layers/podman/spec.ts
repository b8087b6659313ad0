import { parsePort, parseVolume } from "../../domain/Scalars.ts"
import type { NewContainer } from "../../services/ContainerRuntime.ts"

/** The body of a create, as podman's SpecGenerator reads it. */
export const spec = (wanted: NewContainer) => {
  const volumes = wanted.volumes.flatMap((text) => parseVolume(text) ?? [])
  const ports = wanted.ports.flatMap((text) => parsePort(text) ?? [])
  const { to, aliases } = wanted.network
  const period = 100_000
  return {
    name: wanted.containerName,
    image: wanted.image,
    labels: wanted.labels,
    env: wanted.env,
    ...(wanted.cmd.length > 0 ? { command: wanted.cmd } : {}),
    ...(wanted.entrypoint.length > 0 ? { entrypoint: wanted.entrypoint } : {}),
    ...(wanted.user === undefined ? {} : { user: wanted.user }),
    ...(to === "host" || to === "none"
      ? { netns: { nsmode: to } }
      : { netns: { nsmode: "bridge" }, networks: { [to]: { aliases } } }),
    portmappings: ports.map((p) => ({
      host_ip: p.ip ?? "",
      host_port: p.host,
      container_port: p.container,
      protocol: p.protocol
    })),
    mounts: volumes
      .filter(({ source }) => source.startsWith("/"))
      .map(({ source, target, readOnly }) => ({
        type: "bind",
        source,
        destination: target,
        options: [readOnly ? "ro" : "rw", "rbind"]
      })),
    volumes: volumes
      .filter(({ source }) => !source.startsWith("/"))
      .map(({ source, target, readOnly }) => ({ Name: source, Dest: target, Options: [readOnly ? "ro" : "rw"] })),
    resource_limits: {
      ...(wanted.memory === undefined ? {} : { memory: { limit: wanted.memory } }),
      ...(wanted.cpus === undefined ? {} : { cpu: { quota: Math.round(wanted.cpus * period), period } })
    },
    restart_policy: "no",
    stop_timeout: wanted.stopTimeoutSeconds,
    log_configuration: { driver: "k8s-file" }
  }
}
