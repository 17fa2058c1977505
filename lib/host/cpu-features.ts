import { HostFiles } from './host-files.js'

/** Instruction sets that decide how fast ONNX Runtime's CPU kernels are: kernel's flag → name. */
const FEATURES: Readonly<Record<string, string>> = {
  avx2: 'avx2',
  fma: 'fma',
  avx512f: 'avx512f',
  avx512_vnni: 'avx512_vnni',
  avx512_bf16: 'avx512_bf16',
  avx_vnni: 'avx_vnni',
  amx_tile: 'amx_tile',
  amx_int8: 'amx_int8',
  amx_bf16: 'amx_bf16',
  neon: 'neon',
  asimd: 'neon',
  asimdhp: 'fp16',
  asimddp: 'dotprod',
  i8mm: 'i8mm',
  bf16: 'bf16',
  sve: 'sve',
}

export interface CpuFeatures {
  model: string
  /** Cores the kernel has online. */
  cores: number
  /** Names such as `avx2`, `avx512_vnni`, `neon`, `dotprod`. */
  features: string[]
}

/** Reads `/proc/cpuinfo` (x86: `flags`; ARM: `Features`) and, for a board's name, the device tree. */
export function readCpuFeatures(options: { root?: string } = {}): CpuFeatures {
  const files = new HostFiles(options.root)
  const text = files.text('/proc/cpuinfo') ?? ''
  const value = (key: string): string | undefined => new RegExp(`^${key}\\s*: (.+)$`, 'm').exec(text)?.[1]?.trim()
  const flags = (value('flags') ?? value('Features') ?? '').split(' ')
  const board = files.text('/proc/device-tree/model')?.replaceAll('\0', '').trim()
  return {
    model: [value('model name'), board].filter(Boolean).join(', ') || (value('Hardware') ?? 'unknown'),
    cores: text.match(/^processor\s*:/gm)?.length ?? 0,
    features: [...new Set(flags.flatMap(flag => FEATURES[flag] ?? []))],
  }
}
