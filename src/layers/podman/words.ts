const noise = [
  /^(?:OCI runtime error|runc|crun|preparing container \S+ for attach): /,
  /^(?:runc create failed|exec failed|container_linux\.go:\d+): /,
  /^(?:unable to start container process|starting container process caused|error during container init): /,
  /^initializing source \S+: /,
  /^creating container storage: /
]

const missing = /exec: "([^"]+)": .*(?:no such file or directory|not found in \$PATH|executable file not found)/
const forbidden = /exec: "([^"]+)": .*(?:permission denied|is a directory)/
const taken = /listen (tcp|udp)\d? (\S*):(\d+): bind: address already in use/
const foreign = /listen (?:tcp|udp)\d? (\S+):\d+: bind: cannot assign requested address/
const absentMount = /statfs (\/\S*): no such file or directory/

/** What podman writes in place of the output of a command that cannot be run. */
export const tellsOfNoRun = (text: string): boolean => /^Error: .*(?:runc|crun|OCI)/.test(text)

/** What podman writes behind the output of a command that ends before it has read all of its input (seen on 4.3). */
const inputUnread =
  /Error: (?:read|write) unixpacket \S*: (?:read|write): (?:connection reset by peer|broken pipe)\r?\n$/

export const withoutUnread = (output: Buffer): { readonly output: Buffer; readonly cut: boolean } => {
  const found = inputUnread.exec(output.toString("latin1", Math.max(0, output.length - 200)))
  return found ? { output: output.subarray(0, -found[0].length), cut: true } : { output, cut: false }
}

/** podman's error, without the layers that it passed through: one line for people. */
export const plain = (message: string): string => {
  const command = missing.exec(message)
  if (command) return `there is no command ${command[1]} in the container`
  const denied = forbidden.exec(message)
  if (denied) return `the command ${denied[1]} cannot be executed`
  const port = taken.exec(message)
  if (port) {
    const at = port[2] ? `${port[2]}:${port[3]}` : `${port[3]}`
    return `the port ${at}${port[1] === "udp" ? "/udp" : ""} is in use on the node`
  }
  const address = foreign.exec(message)
  if (address) return `the node has no address ${address[1]}`
  const mount = absentMount.exec(message)
  if (mount) return `there is no ${mount[1]} on the node to mount`
  let text = message.replace(/^Error: /, "").split("\n")[0] ?? ""
  for (let before = ""; before !== text; ) {
    before = text
    for (const prefix of noise) text = text.replace(prefix, "")
  }
  text = text.replace(/: OCI (?:runtime error|not found|permission denied|runtime attempted .*)$/, "").trim()
  return text.length > 300 ? `${text.slice(0, 299)}…` : text
}

/** The paths that podman names then are those within an image: of no use to people. */
export const isDiskFull = (message: string): boolean => /no space left on device/i.test(message)

/** A port that another container or program has, in the forms of podman, rootlessport and netavark. */
export const isPortTaken = (message: string): boolean =>
  /address already in use|port is already allocated/i.test(message)
