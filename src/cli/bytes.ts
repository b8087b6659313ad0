const units = ["KiB", "MiB", "GiB", "TiB"] as const

/** An amount of bytes for people: 512 B, 1.5 KiB, 12.3 MiB, 384 MiB. */
export const bytes = (count: number): string => {
  let amount = count / 1024
  if (amount < 1) return `${Math.round(count)} B`
  let unit = 0
  // By what it is rounded to: never 1024 KiB.
  while (amount >= 1023.5 && unit < units.length - 1) {
    amount /= 1024
    unit += 1
  }
  return `${amount < 99.95 ? amount.toFixed(1) : Math.round(amount)} ${units[unit]}`
}
