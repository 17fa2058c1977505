/** The kernel's list format (`0-2,5`), of CPUs and memory nodes. */

/** Anything that is no number or range of numbers is passed over. */
export function parseCpuList(text: string): number[] {
  return text.trim().split(',').flatMap((range) => {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range) ?? []
    if (first === undefined) return []
    return Array.from({ length: Math.max(0, Number(last) - Number(first) + 1) }, (_, i) => Number(first) + i)
  })
}

/** Ascending, ranges joined: what the kernel answers for the same set. */
export function formatCpuList(cpus: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const cpu of [...new Set(cpus)].sort((a, b) => a - b)) {
    const range = ranges.at(-1)
    if (range && range[1] === cpu - 1) range[1] = cpu
    else ranges.push([cpu, cpu])
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}
