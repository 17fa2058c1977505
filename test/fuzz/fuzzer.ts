/**
 * Fuzzes what is written in TypeScript: `node dist/test/fuzz/fuzzer.js TARGET --seconds N|--runs N --corpus DIR
 * --artifacts PREFIX`. Inputs are changes of inputs; those that reach code no other has reached are kept. What is
 * reached is asked of V8 after each batch, which costs less than instrumented code would.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Session, type Profiler } from 'node:inspector'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'

/** What `targets/TARGET.ts` exports. */
export interface FuzzTarget {
  /** Throws where the code under test does not do as it should. */
  fuzz(input: Buffer): void
  seeds: readonly Buffer[]
}

const MAX_BYTES = 1024
const BATCH = 2048
/** Of one input; far more than any takes on a busy machine. */
const MAX_MILLISECONDS = 10_000
const BYTES = [0, 1, 2, 7, 8, 10, 0x7f, 0x80, 0xff]
const DOUBLES = [0, 1, 2, 3, -1, 0.5, 255, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, NaN, Infinity, -Infinity, -0]

/** Numbers that a seed repeats: xorshift32. */
class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 1
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % limit
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }
}

function mutated(random: Random, corpus: readonly Buffer[]): Buffer {
  let input: Buffer = Buffer.from(random.of(corpus))
  for (let count = 1 + random.below(4); count > 0; count -= 1) input = mutatedOnce(random, input, corpus)
  return input.subarray(0, MAX_BYTES)
}

function mutatedOnce(random: Random, input: Buffer, corpus: readonly Buffer[]): Buffer {
  const at = random.below(input.length + 1)
  const length = Math.min(1 + random.below(1 << random.below(8)), input.length - at)
  const insert = (bytes: Buffer): Buffer => Buffer.concat([input.subarray(0, at), bytes, input.subarray(at)])
  switch (random.below(8)) {
    case 0: if (length > 0) input[at] = (input[at] as number) ^ 1 << random.below(8); return input
    case 1: if (length > 0) input[at] = random.of(BYTES); return input
    case 2: if (length > 0) input[at] = random.below(256); return input
    case 3: return Buffer.concat([input.subarray(0, at), input.subarray(at + length)])
    case 4: return insert(Buffer.from(Array.from({ length: 1 + random.below(8) }, () => random.below(256))))
    case 5: return insert(input.subarray(at, at + length))
    case 6: {
      const place = at - at % 8
      if (place + 8 <= input.length) input.writeDoubleLE(random.of(DOUBLES), place)
      return input
    }
    default: {
      const other = random.of(corpus)
      const from = random.below(other.length + 1)
      return insert(other.subarray(from, from + 1 + random.below(64)))
    }
  }
}

/** Which characters of the scripts under test have been run. */
class Coverage {
  readonly #session = new Session()
  readonly #scripts = new Map<string, Uint8Array>()

  constructor() {
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  }

  /** Whether code was run since the last call that never was before; `learn`: and no longer counts as such. */
  reachedNew({ learn }: { learn: boolean }): boolean {
    let scripts: Profiler.ScriptCoverage[] = []
    this.#session.post('Profiler.takePreciseCoverage', (_, { result }) => { scripts = result })
    return scripts.filter(({ url }) => url.includes('/dist/lib/')).filter(({ url, functions }) => {
      const ranges = functions.flatMap((each) => each.ranges)
      const run = new Uint8Array(Math.max(...ranges.map(({ endOffset }) => endOffset)))
      for (const { startOffset, endOffset, count } of ranges) run.fill(count > 0 ? 1 : 0, startOffset, endOffset)
      const known = this.#scripts.get(url) ?? new Uint8Array()
      if (!run.some((isRun, place) => isRun > (known[place] ?? 0))) return false
      if (learn) this.#scripts.set(url, run.length > known.length ? union(run, known) : union(known, run))
      return true
    }).length > 0
  }

  get characters(): number {
    return [...this.#scripts.values()].reduce((sum, script) => sum + script.reduce((count, run) => count + run, 0), 0)
  }
}

function union(longer: Uint8Array, shorter: Uint8Array): Uint8Array {
  return longer.map((isRun, place) => isRun | (shorter[place] ?? 0))
}

function faultOf(target: FuzzTarget, input: Buffer): Error | undefined {
  const begin = performance.now()
  try {
    target.fuzz(Buffer.from(input))
  } catch (error) {
    return error as Error
  }
  const took = performance.now() - begin
  return took > MAX_MILLISECONDS ? new Error(`It took ${Math.round(took)} ms`) : undefined
}

/** The shortest input found that fails in the same place. */
function minimised(target: FuzzTarget, input: Buffer, { stack }: Error): Buffer {
  const place = (text?: string): string | undefined => text?.split('\n').find((line) => line.startsWith('    at'))
  let shortest = input
  for (let length = input.length >> 1; length > 0; length = shortest.length === input.length ? length >> 1 : length) {
    input = shortest
    for (let at = 0; at < shortest.length;) {
      const shorter = Buffer.concat([shortest.subarray(0, at), shortest.subarray(at + length)])
      const fault = faultOf(target, shorter)
      if (fault && place(fault.stack) === place(stack)) shortest = shorter
      else at += length
    }
  }
  return shortest
}

const digestOf = (input: Buffer): string => createHash('sha1').update(input).digest('hex')

async function main(): Promise<number> {
  const { values, positionals: [name = ''] } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: 'Infinity' },
      runs: { type: 'string', default: 'Infinity' },
      corpus: { type: 'string', default: '.cache/fuzz/corpus' },
      artifacts: { type: 'string', default: '.cache/fuzz/artifacts/' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    },
  })
  const target = await import(`./targets/${name}.js`) as FuzzTarget
  const random = new Random(Number(values.seed))
  mkdirSync(values.corpus, { recursive: true })
  const corpus = [...target.seeds, ...readdirSync(values.corpus).map((file) => readFileSync(join(values.corpus, file)))]
  const coverage = new Coverage()
  const begin = performance.now()
  const seconds = (): number => (performance.now() - begin) / 1000
  /** Halves the inputs until those that reach new code are found. */
  const keepNew = (inputs: readonly Buffer[]): void => {
    for (const input of inputs) faultOf(target, input)
    if (!coverage.reachedNew({ learn: inputs.length === 1 })) return
    const [input] = inputs as [Buffer]
    if (inputs.length > 1) {
      const half = inputs.length >> 1
      keepNew(inputs.slice(0, half))
      keepNew(inputs.slice(half))
    } else if (!corpus.includes(input)) {
      corpus.push(input)
      writeFileSync(join(values.corpus, digestOf(input)), input)
    }
  }
  let runs = 0
  let batch = [...corpus]
  while (runs < Number(values.runs) && seconds() < Number(values.seconds)) {
    for (const input of batch) {
      const fault = faultOf(target, input)
      if (!fault) continue
      const path = `${values.artifacts}${name}-${digestOf(input)}`
      writeFileSync(path, minimised(target, input, fault))
      console.log(`${path} fails: ${fault.stack}`)
      return 1
    }
    runs += batch.length
    if (coverage.reachedNew({ learn: false })) keepNew(batch)
    batch = Array.from({ length: BATCH }, () => mutated(random, corpus))
  }
  console.log(`stat::number_of_executed_units: ${runs}\nstat::seconds: ${seconds().toFixed(0)}`)
  console.log(`stat::covered_characters: ${coverage.characters}\nstat::corpus: ${corpus.length}`)
  return 0
}

process.exitCode = await main()
