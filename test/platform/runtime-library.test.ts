import { execFile } from 'node:child_process'
import { copyFile, cp, link, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { addonPaths, loadRuntime, type RuntimeInfo } from '../../lib/native.js'
import { RUNTIME_LIBRARY, RUNTIME_PACKAGE } from '../../lib/platform/runtime-library.js'

const ROOT = new URL('../../..', import.meta.url).pathname
const PLATFORM = `@edge-infer/linux-${process.arch}`
const ADDON = addonPaths()[0] as string
const LIBRARY = loadRuntime().path

/** The compiled library as a package that is installed, with the packages of the checkout. */
async function installPackage(t: Test): Promise<{ modules: string; installed: string }> {
  const modules = join(t.testdir(), 'node_modules')
  const installed = join(modules, 'edge-infer')
  await mkdir(installed, { recursive: true })
  for (const path of ['dist/lib', 'models', 'package.json']) {
    await cp(join(ROOT, path), join(installed, path), { recursive: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(installed, 'node_modules'))
  return { modules, installed }
}

async function putLibrary(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  await link(LIBRARY, path).catch(() => copyFile(LIBRARY, path))
  return path
}

t.test('a runtime library is looked for in order, and the error names every place', async (t) => {
  const { modules, installed } = await installPackage(t)
  // Whatever the machine has, the loader finds these first and ends there.
  const broken = join(modules, 'broken')
  await mkdir(broken)
  for (const name of [RUNTIME_LIBRARY, 'libonnxruntime.so']) await writeFile(join(broken, name), 'x'.repeat(4096))

  const load = async (environment: NodeJS.ProcessEnv = {}, option = ''): Promise<RuntimeInfo & { error?: string }> => {
    const program = `import { loadRuntime } from '${installed}/dist/lib/index.js'
      try { console.log(JSON.stringify(loadRuntime(process.argv[1]))) }
      catch ({ code, message }) { console.log(JSON.stringify({ error: code + ': ' + message })) }`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, option], {
      env: {
        ...process.env, EDGE_INFER_ADDON: ADDON, EDGE_INFER_ORT_LIBRARY: '', LD_LIBRARY_PATH: broken, NODE_OPTIONS: '',
        ...environment,
      },
    })
    return JSON.parse(stdout) as RuntimeInfo
  }

  const cache = join(installed, '.cache/onnxruntime')
  const fetched = join(cache, RUNTIME_PACKAGE.version, `linux-${process.arch}`, RUNTIME_LIBRARY)
  const { error = '' } = await load()
  const expected = [
    'RUNTIME_UNAVAILABLE: No ONNX Runtime library can be loaded. ',
    'Run "npx edge-infer build", which fetches one, or name one in EDGE_INFER_ORT_LIBRARY',
    `platform package ${PLATFORM}: not installed`, `fetched by "npx edge-infer build": Cannot load ${fetched}: `,
    "the system's: Cannot load libonnxruntime.so.1: ", "the system's: Cannot load libonnxruntime.so: ",
    'https://github.com/microsoft/onnxruntime/releases',
  ]
  for (const part of expected) t.ok(error.includes(part), part)

  await putLibrary(fetched)
  t.match(await load(), { path: fetched, source: 'fetched by "npx edge-infer build"' })

  const directory = join(modules, PLATFORM)
  const beside = await putLibrary(join(directory, RUNTIME_LIBRARY))
  await writeFile(join(directory, 'package.json'), '{ "version": "0.0.0", "main": "edge_infer.node" }')
  await copyFile(ADDON, join(directory, 'edge_infer.node'))
  t.match(await load(), { path: beside, source: `platform package ${PLATFORM}` })

  t.match(await load({ EDGE_INFER_ORT_LIBRARY: LIBRARY }), { path: LIBRARY, source: 'EDGE_INFER_ORT_LIBRARY' })
  t.match(await load({ EDGE_INFER_ORT_LIBRARY: '/nowhere.so' }, LIBRARY), {
    path: LIBRARY, source: 'option runtimeLibrary',
  })
  const named = await load({ EDGE_INFER_ORT_LIBRARY: '/nowhere.so' })
  t.match(named, { error: /Name another one, or none to have it looked for\.\s+EDGE_INFER_ORT_LIBRARY: .*nowhere\.so/ })
})
