import t from 'tap'
import { build } from 'esbuild'
import { Type } from 'typebox'
import { EdgeInferError } from '../lib/errors.js'
import { expectationOf, validator } from '../lib/validation.js'

const Limits = Type.Object({
  pid: Type.Integer({ minimum: 1 }),
  cpu_util_limit: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
  device: Type.Optional(Type.String({ pattern: '^cpu$', expected: 'cpu or cuda[:n]' })),
  task: Type.Optional(Type.Enum(['cars', 'faces'])),
  name: Type.Optional(Type.Unsafe<string>({ type: 'string', enum: ['a', 'b'], code: 'UNKNOWN_TASK' })),
  cpus: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })),
  size: Type.Optional(Type.Union([Type.Integer({ minimum: 8 }), Type.Array(Type.Integer())])),
  models: Type.Optional(Type.Array(Type.Object({ name: Type.String() }, { additionalProperties: false }))),
})
const check = validator(Limits, 'BAD_LIMIT', 'the body')

t.test('a value that fits is given back as it is', async (t) => {
  const value = { pid: 7, cpu_util_limit: 0.5, unknown: {} }
  t.equal(check(value), value)
})

t.test('a message names the member, what it must be and what was received', async (t) => {
  const cases: [unknown, string, string][] = [
    [null, 'Expected an object for the body but received null', ''],
    [[], 'Expected an object for the body but received []', ''],
    [{}, 'Expected a whole number from 1 for pid but received none', ''],
    [{ pid: '7' }, 'Expected a whole number from 1 for pid but received "7" of type string', 'pid'],
    [{ pid: 1, cpu_util_limit: 0 },
      'Expected a number above 0 and at most 1 for cpu_util_limit but received 0 of type number', 'cpu_util_limit'],
    [{ pid: 1, device: 'gpu' }, 'Expected cpu or cuda[:n] for device but received "gpu" of type string', 'device'],
    [{ pid: 1, task: 'dogs' }, 'Expected one of cars, faces for task but received "dogs" of type string', 'task'],
    [{ pid: 1, cpus: [] }, 'Expected a non-empty list of a whole number from 0 for cpus but received []', 'cpus'],
    [{ pid: 1, cpus: [0, -1] }, 'Expected a whole number from 0 for cpus[1] but received -1 of type number', 'cpus[1]'],
    [{ pid: 1, size: 'big' },
      'Expected a whole number from 8 or a list of a whole number for size but received "big" of type string', 'size'],
    [{ pid: 1, models: [{ name: 'a' }, {}] }, 'Expected a string for models[1].name but received none', 'models[1]'],
    [{ pid: 1, models: [{ name: 'a', x: 1 }] }, 'Expected models[0] to have no members but name and received x',
      'models[0]'],
  ]
  for (const [value, message, path] of cases) {
    t.throws(() => check(value), { name: 'EdgeInferError', code: 'BAD_LIMIT', message, details: { path } }, message)
  }
  t.throws(() => check({ pid: { toString: 1 } }), EdgeInferError, 'objects out of JSON can be shown')
})

t.test('a member of the right type may have a code of its own', async (t) => {
  t.throws(() => check({ pid: 1, name: 'c' }), {
    code: 'UNKNOWN_TASK', message: 'Expected one of a, b for name but received "c" of type string',
  })
  t.throws(() => check({ pid: 1, name: 5 }), {
    code: 'BAD_LIMIT', message: 'Expected one of a, b for name but received 5 of type number',
  })
})

t.test('an expectation by itself', async (t) => {
  t.equal(expectationOf(Limits.properties.cpus), 'a non-empty list of a whole number from 0')
})

t.test('neither a worker nor a program that uses the library loads TypeBox, which takes 27 MB', async (t) => {
  const lib = new URL('../lib/', import.meta.url).pathname
  for (const entry of ['index.js', 'client/index.js', 'cli/main.js', 'workers/process/worker-main.js']) {
    const { metafile } = await build({
      entryPoints: [`${lib}${entry}`], outdir: lib, bundle: true, splitting: true, packages: 'external',
      platform: 'node',
      format: 'esm', write: false, metafile: true, logLevel: 'silent',
    })
    const [main] = Object.values(metafile.outputs).filter(({ entryPoint }) => entryPoint?.endsWith(entry))
    const loaded = new Set<string>()
    const follow = ({ imports }: { imports: { path: string; kind: string; external?: boolean }[] }): void => {
      for (const { path, kind, external } of imports) {
        if (kind === 'dynamic-import' || loaded.has(path)) continue
        loaded.add(path)
        if (!external) follow(metafile.outputs[path] as typeof metafile.outputs[string])
      }
    }
    follow(main as NonNullable<typeof main>)
    t.same([...loaded].filter((path) => path.startsWith('typebox')), [], entry)
  }
})
