/*
 * Two programs of a few bytes, so that a container can be tried on a node that has no image and reaches no image
 * registry: `pause` sleeps until it is killed, `hog` writes to each page of 64 MiB and ends.
 */

const PAGES = 64 * 2 ** 20
const CODE = 0x400000
const DATA = 0x600000

const words = (...values: ReadonlyArray<number>) => {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, i * 4)
  return bytes
}

const code = {
  x64: {
    machine: 62,
    // pause(); again
    pause: Buffer.from("b8220000000f05ebf7", "hex"),
    // for each page: *page = 1; exit(0)
    hog: Buffer.from("bf00006000b900400000c607014881c700100000ffc975f2b83c00000031ff0f05", "hex")
  },
  arm64: {
    machine: 183,
    // ppoll(0, 0, 0, 0, 0); again
    pause: words(...[0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd2800004, 0xd2800928, 0xd4000001, 0x17fffff9]),
    hog: words(
      ...[0xd2a00c00, 0xd2880001, 0x52800022, 0x39000002, 0x91400400, 0xf1000421, 0x54ffffa1],
      ...[0xd2800000, 0xd2800ba8, 0xd4000001]
    )
  }
}

/** A static ELF program: its code, and zeroed memory. */
const elf = (machine: number, program: Buffer) => {
  const headers = 64 + 2 * 56
  const file = Buffer.alloc(headers + program.length)
  file.write("\x7fELF\x02\x01\x01", 0, "latin1")
  file.writeUInt16LE(2, 16)
  file.writeUInt16LE(machine, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(BigInt(CODE + headers), 24)
  file.writeBigUInt64LE(64n, 32)
  for (const [at, value] of [64, 56, 2].entries()) file.writeUInt16LE(value, 52 + at * 2)
  const segment = (at: number, flags: number, address: number, inFile: number, inMemory: number) => {
    file.writeUInt32LE(1, at)
    file.writeUInt32LE(flags, at + 4)
    file.writeBigUInt64LE(BigInt(address), at + 16)
    file.writeBigUInt64LE(BigInt(address), at + 24)
    file.writeBigUInt64LE(BigInt(inFile), at + 32)
    file.writeBigUInt64LE(BigInt(inMemory), at + 40)
    file.writeBigUInt64LE(0x10000n, at + 48)
  }
  segment(64, 5, CODE, file.length, file.length)
  segment(120, 6, DATA, 0, PAGES)
  program.copy(file, headers)
  return file
}

const tarEntry = (name: string, content: Buffer) => {
  const header = Buffer.alloc(512)
  header.write(name)
  header.write("0000755\0", 100)
  header.write("0000000\0", 108)
  header.write("0000000\0", 116)
  header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124)
  header.write("00000000000\0", 136)
  header.write("        0", 148)
  header.write("ustar\x0000", 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}

/** The files of the image as a tar archive; undefined where we have no program for the processor. */
export const trialImage = (arch: string): Uint8Array | undefined => {
  if (arch !== "x64" && arch !== "arm64") return undefined
  const { hog, machine, pause } = code[arch]
  return Buffer.concat([tarEntry("pause", elf(machine, pause)), tarEntry("hog", elf(machine, hog)), Buffer.alloc(1024)])
}
