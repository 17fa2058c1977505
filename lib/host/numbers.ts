/** `value` within [low, high]. */
export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}

/** `part` of `whole` in percent, 0–100; 0 of nothing is 0. */
export function percentOf(part: number, whole: number): number {
  return whole > 0 ? clamp((100 * part) / whole, 0, 100) : 0
}

/** Mean of the values; of none, 0. */
export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Rounded, so that replies stay short. */
export function rounded(value: number, digits: number): number {
  const scale = 10 ** digits
  return Math.round(value * scale) / scale
}

/** Memory is counted in units of 2^30 bytes, as every tool for it does. */
export function gigabytes(bytes: number): number {
  return rounded(bytes / 2 ** 30, 3)
}

/** The numbers of a kernel list such as `0-3,6`. */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = []
  for (const range of text.trim().split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range)
    if (match === null) continue
    const first = Number(match[1])
    for (let cpu = first; cpu <= Number(match[2] ?? first); cpu++) cpus.push(cpu)
  }
  return cpus
}
