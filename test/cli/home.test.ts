/** Accounts without a home directory, or with one that cannot be written, and machines that are read-only. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { useConstantHelmets } from '../helpers/models.js'
import { people } from '../helpers/pictures.js'
import { makePackage, serveRegistry, useOwnEnvironment, writeCatalog } from '../models/helpers.js'
import { finished, runCliWith, spawnCli } from './run.js'
import { serveInProcess } from './serve-process.js'

/** Of no account. */
const ID = 64_999
const AS_ANOTHER = ['setpriv', `--reuid=${ID}`, `--regid=${ID}`, '--clear-groups']
const READ_ONLY = ['unshare', '-m', 'bash', '-c', `while read -r _ place type _; do
  case $type in proc | dev*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null ;; esac
done </proc/self/mounts; "$@"`, 'bash']
const CLI = new URL('../../../bin/edge-infer', import.meta.url).pathname
const NATIVE_PROGRAM = new URL('../../lib/bench/native-program.js', import.meta.url).href

useConstantHelmets(t)
const { EDGE_INFER_CATALOG: catalog = '', EDGE_INFER_MODELS: models = '' } = process.env
chmodSync(dirname(catalog), 0o755)

const root = t.testdir({ home: {}, temporary: {}, 'people.jpg': people })
const temporary = join(root, 'temporary')
chmodSync(temporary, 0o777)
const picture = join(root, 'people.jpg')

function may(prefix: readonly string[], ...command: string[]): boolean {
  const [first = '', ...rest] = [...prefix, ...command]
  return spawnSync(first, rest).status === 0
}

const another = may([...AS_ANOTHER, 'env', '-u', 'NODE_OPTIONS'], process.execPath, CLI, '--version') &&
  may(AS_ANOTHER, 'cat', catalog, picture) && may(AS_ANOTHER, 'test', '-w', temporary)
  ? false : 'no other account can be taken here, or it cannot read this checkout'
const readOnly = may(READ_ONLY, 'test', '!', '-w', temporary, '-a', '!', '-w', dirname(catalog), '-a', '!', '-w', CLI)
  ? false : 'mounts cannot be made read-only here'

/** `settings` are arguments of `env`. */
const within = (prefix: readonly string[], settings: readonly string[]): string[] => [
  ...prefix, 'env', '-u', 'XDG_CACHE_HOME', '-u', 'EDGE_INFER_STORE', '-u', 'npm_config_cache', '-u', 'NODE_OPTIONS',
  ...settings, `TMPDIR=${temporary}`,
]

async function usesModels(t: Test, prefix: readonly string[]): Promise<void> {
  const options = { prefix, env: { EDGE_INFER_CATALOG: catalog, EDGE_INFER_MODELS: models } }
  const commands = [['run', 'helmet_detection', picture], ['models', 'list'], ['bench', 'serve', '--help']]
  const [inspected, ...ended] = await Promise.all(
    [['inspect', '--json'], ...commands].map((args) => runCliWith(options, ...args)),
  )
  t.match(ended, [
    { code: 0, stdout: /helmet × 1/, stderr: '' },
    { code: 0, stdout: /helmet-constant \* .*on the search path/, stderr: '' },
    { code: 0, stdout: /Usage:/, stderr: '' },
  ])
  const { tasks } = JSON.parse(inspected?.stdout ?? '') as { tasks: { task: string }[] }
  t.match(tasks.find(({ task }) => task === 'helmet_detection'), { ready: true })

  const serving = await serveInProcess(t, ['--task', 'helmet_detection'], options)
  const answer = await fetch(`${serving.url}/execute_task/helmet_detection`, {
    method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: people,
  })
  t.equal(answer.status, 200)
  t.equal((await serving.stop()).code, 0)
}

/** Without one, the directory for temporary files takes its place. */
const HOMES: [name: string, settings: string[], home: string][] = [
  ['no HOME', ['-u', 'HOME'], temporary],
  ['an empty HOME', ['HOME='], temporary],
  ['HOME=/', ['HOME=/'], '/'],
  ['a HOME that does not exist', ['HOME=/nonexistent'], '/nonexistent'],
  ['a HOME that cannot be written', [`HOME=${join(root, 'home')}`], join(root, 'home')],
]

t.test('models that are here are used', { skip: another }, async (t) => {
  for (const [name, settings] of HOMES) {
    await t.test(name, (t) => usesModels(t, within(AS_ANOTHER, settings)))
  }
})

t.test('models that are here are used where everything is read-only', { skip: readOnly }, async (t) => {
  await usesModels(t, within(READ_ONLY, []))
})

t.test('programs of the benches lie beside the models, never where all may write', { skip: another }, async (t) => {
  const program = `import('${NATIVE_PROGRAM}').then((it) => console.log(it.benchDirectory()))`
  for (const [name, settings, home] of HOMES) {
    const [command = '', ...rest] = within(AS_ANOTHER, settings)
    const result = spawnSync(command, [...rest, process.execPath, '-e', program], { encoding: 'utf8' })
    if (home === temporary) t.match(result, { status: 1, stderr: /no home directory .* Set XDG_CACHE_HOME/ }, name)
    else t.equal(result.stdout, `${join(home, '.cache/edge-infer/bench')}\n`, name)
  }
})

t.test('a model is fetched, or it is said what cannot be written and what helps', { skip: another }, async (t) => {
  const { root } = await useOwnEnvironment(t)
  const data = randomBytes(50_000)
  const pack = await makePackage(root, 'models@1.0.0', { 'one.onnx': data })
  const registry = await serveRegistry(t, pack, 'secret')
  writeFileSync(join(root, 'npmrc'), `registry=${registry.url}/\n//${new URL(registry.url).host}/:_authToken=secret\n`)
  await writeCatalog(root,
    [{ name: 'one', data, sources: [{ kind: 'npm', package: pack.spec, path: 'model/one.onnx' }] }],
    { [pack.spec]: { integrity: pack.integrity, bytes: pack.bytes } })
  const store = join(root, 'writable')
  mkdirSync(store)
  chmodSync(store, 0o777)

  for (const [name, settings, home] of HOMES) {
    const prefix = within(AS_ANOTHER, settings)
    const usual = join(home, '.cache/edge-infer/models')
    const pull = (...more: string[]) => finished(spawnCli(['models', 'pull', 'one'], { prefix: [...prefix, ...more] }))
    const before = registry.requests.length
    const pulled = await pull()
    if (home === temporary) {
      t.match(pulled, { code: 0, stderr: '' }, name)
      t.ok(existsSync(join(usual, 'one.onnx')), name)
    } else {
      t.equal(pulled.code, 1, name)
      t.match(pulled.stderr, `The store ${usual} cannot be written: `, name)
      t.match(pulled.stderr, /in EDGE_INFER_STORE\. .*\[MODEL_UNAVAILABLE\]\n$/, name)
      t.equal(registry.requests.length, before, `${name}: nothing is downloaded in vain`)
      t.match(await pull(`EDGE_INFER_STORE=${join(store, name)}`), { code: 0, stderr: '' }, `${name}, its own store`)
    }
  }
})
