import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'

const ROOT = new URL('../..', import.meta.url).pathname

interface Ran {
  code: number | null
  output: string
}

async function run(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

/** A small checkout of its own with the real script, so that the tests never touch the tree they run in. */
async function makeCheckout(t: Test): Promise<string> {
  const root = t.testdir()
  const copied = [
    'bin/setup', 'bin/build-requirements', 'package.json', 'package-lock.json', 'tsconfig.json', 'native/cmake',
    'lib/dashboard', ...await sourcesOfDashboard(),
  ]
  for (const file of copied) {
    await cp(join(ROOT, file), join(root, file), { recursive: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  await writeSource(root, 'lib/cli/main.ts', 'export const main = (): number => 1\n')
  await writeSource(root, 'test/old.test.ts', 'export const old = 1\n')
  return root
}

/** Files outside its folder that the dashboard imports, types included. */
async function sourcesOfDashboard(): Promise<string[]> {
  const { typescriptImports } = await import(join(ROOT, 'bin/imports.js')) as
    { typescriptImports(): { from: string; to: string }[] }
  const imports = typescriptImports().filter(({ to }) => to.startsWith('lib/'))
  const reached = new Set(imports.map(({ from }) => from).filter((file) => file.startsWith('lib/dashboard/')))
  for (const file of reached) for (const { from, to } of imports) if (from === file) reached.add(to)
  return [...reached].filter((file) => !file.startsWith('lib/dashboard/'))
}

async function writeSource(root: string, name: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, name)), { recursive: true })
  await writeFile(join(root, name), text)
}

/** As much of an unpacked release as the search for headers looks at. */
async function makeRelease(root: string): Promise<string> {
  const release = join(root, 'onnxruntime')
  await writeSource(release, 'include/onnxruntime_cxx_api.h', '')
  await writeSource(release, 'include/onnxruntime_c_api.h', '#define ORT_API_VERSION 21\n')
  return release
}

t.test('set-up does what is missing, once; then it is silent', async (t) => {
  const root = await makeCheckout(t)
  const environment = { ONNXRUNTIME_ROOT: await makeRelease(root) }
  const setup = (...flags: string[]) => run('bash', [join(root, 'bin/setup'), '--no-models', ...flags], environment)

  const checked = await setup('--check')
  t.match(checked, { code: 1, output: 'missing: compiled TypeScript\nTo mend it, run: bash bin/setup\n' })
  t.notOk((await readdir(root)).includes('.setup'), '--check writes nothing')

  const first = await setup()
  t.match(first, { code: 0, output: /^setup: compiling TypeScript \.\.\. done, \d+\.\d s\n$/ })
  t.match(await setup('--check'), { code: 0, output: '' })
  const second = await setup()
  t.match(second, { code: 0, output: '' })

  await rm(join(root, 'test'), { recursive: true })
  await writeSource(root, 'lib/cli/main.ts', 'export const main = (): string => 1\n')
  t.match(await setup(), { code: 1, output: /failed,.*error TS2322.*setup: TypeScript does not compile/s })
  await writeSource(root, 'lib/cli/main.ts', 'export const main = (): number => 2\n')
  t.match(await setup(), { code: 0, output: /^setup: compiling TypeScript/ })
  t.strictSame(await readdir(join(root, 'dist/test')), [], 'what was compiled from a deleted source is gone')
})

t.test('set-up says what it cannot do itself, with the command that mends it', async (t) => {
  const root = await makeCheckout(t)
  const script = join(root, 'bin/setup')
  const tools = join(root, 'tools')
  await mkdir(tools)
  for (const tool of ['bash', 'dirname', 'cat', 'mkdir', 'env', 'id', 'uname', 'find', 'setpriv']) {
    const { output } = await run('sh', ['-c', `command -v ${tool} || true`])
    if (output.trim() !== '') await symlink(output.trim(), join(tools, tool))
  }
  const bare = { PATH: tools }
  const missing = await run('bash', [script, '--check', '--no-models'], bare)
  t.match(missing, { code: 1, output: /There is no node\. Install Node\.js 20\.17\.0 or later: https:/ })

  t.match(await run('bash', [script], bare), { code: 1, output: /This is no Debian: .*g\+\+ make cmake.*dnf install/s })

  const open = await mkdtemp(join(tmpdir(), 'edge-infer-setup-'))
  t.teardown(() => rm(open, { recursive: true }))
  await cp(join(root, 'bin'), join(open, 'bin'), { recursive: true })
  await cp(tools, join(open, 'tools'), { recursive: true, verbatimSymlinks: true })
  await writeFile(join(open, 'tools/apt-get'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  await chmod(open, 0o777)
  const asNobody = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : ['env']
  const unprivileged = await run(asNobody[0] as string, [...asNobody.slice(1), 'bash', join(open, 'bin/setup')],
    { PATH: join(open, 'tools') })
  t.match(unprivileged, { code: 1, output: /neither root nor sudo\. As root, run:\n.*apt-get install --no-/ })

  const wrong = await run('bash', [script, '--check', '--no-models'], { ONNXRUNTIME_ROOT: root })
  t.match(wrong, { code: 1, output: /ONNXRUNTIME_ROOT=.* holds no onnxruntime_cxx_api\.h/ })
  t.match(await run('bash', [script, '--nonsense']), { code: 2, output: /unknown option --nonsense\nUsage: bash bin/ })
})

t.test('fuzzers and sanitizers begin with the set-up, which says what is missing', async (t) => {
  const root = await makeCheckout(t)
  await cp(join(ROOT, 'bin'), join(root, 'bin'), { recursive: true })
  await cp(join(ROOT, 'test/fuzz'), join(root, 'test/fuzz'), { recursive: true })
  const tools = join(root, 'tools')
  await mkdir(tools)
  for (const tool of ['bash', 'dirname', 'find', 'sed', 'sort', 'grep', 'tr', 'cat', 'mkdir', 'uname', 'id', 'env']) {
    const { output } = await run('sh', ['-c', `command -v ${tool}`])
    await symlink(output.trim(), join(tools, tool))
  }
  await mkdir(join(root, 'native/fuzz'))
  for (const [script, argument] of [['bin/fuzz', 'framing'], ['bin/test-sanitize', 'core']] as const) {
    const ran = await run('bash', [join(root, script), argument], { PATH: tools })
    t.equal(ran.code, 1)
    t.match(ran.output, /^setup: This is no Debian: install/, script)
    t.notMatch(ran.output, /node:internal/, 'in words')
  }
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as
    { scripts: Record<string, string> }
  t.match(scripts.chaos, /^bash bin\/setup --for-tests && /)
})

t.test("CMake finds ONNX Runtime's headers where it is told to, or says where it looked", async (t) => {
  const root = await makeCheckout(t)
  const release = await makeRelease(root)
  await writeSource(root, 'project/CMakeLists.txt', `cmake_minimum_required(VERSION 3.16)
project(headers NONE)
list(APPEND CMAKE_MODULE_PATH "${root}/native/cmake")
find_package(OnnxRuntimeHeaders REQUIRED)
get_target_property(directory OnnxRuntime::Headers INTERFACE_INCLUDE_DIRECTORIES)
message(STATUS "headers: \${directory} of API \${OnnxRuntimeHeaders_VERSION}")
`)
  const configure = (flags: readonly string[], environment: NodeJS.ProcessEnv) =>
    run('cmake', ['-S', join(root, 'project'), '-B', join(root, 'project/build'), ...flags], environment)
  const found = new RegExp(`headers: ${release}/include of API 21`)
  t.match(await configure([`-DONNXRUNTIME_ROOT=${release}`], {}), { code: 0, output: found })
  await rm(join(root, 'project/build'), { recursive: true })
  t.match(await configure([], { ONNXRUNTIME_ROOT: release }), { code: 0, output: found })
  const none = await configure([], { ONNXRUNTIME_ROOT: join(root, 'project') })
  t.equal(none.code, 1)
  t.match(none.output.replace(/\s+/g, ' '), /not found under .*project\. Run "bash bin\/setup", .*-DONNXRUNTIME_ROOT=/)

  await cp(join(release, 'include'), join(root, '.cache/onnxruntime-headers/include/onnxruntime'), { recursive: true })
  t.match(await configure([], { ONNXRUNTIME_ROOT: '' }), { code: 0, output: /headers: .*onnxruntime of API \d+/ })
})
