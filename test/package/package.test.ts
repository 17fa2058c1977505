import { readdir, readFile, writeFile, mkdir, cp, rm } from 'node:fs/promises'
import { dirname, join, normalize, relative } from 'node:path'
import t from 'tap'
import { resolveSample } from '../../lib/models/index.js'
import { fetchedRuntimeDirectory } from '../../lib/platform/runtime-library.js'
import {
  createProject, install, onlyCommands, output, pack, ROOT, run, temporaryDirectory, type Ran,
} from './project.js'

const MAXIMUM_TARBALL_BYTES = 1_100_000
const ADDON_ABSENT = /There is no native addon .*Run "npx edge-infer build"/

/** A user's program: the faces of a sample picture, by whichever module system. */
const DETECT = `
  const { code } = await createTask('face_detection', { threads: 0 }).catch((error) =>
    error instanceof EdgeInferError ? error : { code: 'another class' })
  const faces = await createTask('face_detection')
  const { objects } = await faces.run(sample)
  await faces.close()
  const maps = readFileSync('/proc/self/maps', 'utf8')
  const [addon, runtime] = [/\\S+edge_infer\\.node/, /\\S+libonnxruntime\\S*/].map((path) => path.exec(maps)[0])
  console.log(JSON.stringify({ code, faces: objects.length, box: objects[0].box, addon, runtime }))`

const PRELUDE = {
  esm: `import { createTask, EdgeInferError } from 'edge-infer'
  import { readFileSync } from 'node:fs'
  const sample = process.argv[2]`,
  cjs: `const { createTask, EdgeInferError } = require('edge-infer')
  const { readFileSync } = require('node:fs')
  const sample = process.argv[2]`,
}

interface Detected {
  code: string
  faces: number
  box: number[]
  addon: string
  runtime: string
}

t.test('the package, packed and installed into an empty project', async (t) => {
  const root = await temporaryDirectory(t)
  await output(ROOT, process.execPath, 'bin/build-commonjs')
  const packed = await pack(ROOT, root)
  const tsTypes = `@types/node@${(await manifest(ROOT)).devDependencies['@types/node']}`
  const project = await createProject(join(root, 'project'), [packed.path, tsTypes])
  const installed = join(project, 'node_modules/edge-infer')
  await writeFile(join(project, 'detect.mjs'), `${PRELUDE.esm}${DETECT}\n`)
  await writeFile(join(project, 'detect.cjs'), `${PRELUDE.cjs}\n;(async () => {${DETECT}\n})()\n`)
  const sample = await resolveSample('faces')

  await t.test('holds what its users need, and no more', async (t) => {
    t.ok(packed.size < MAXIMUM_TARBALL_BYTES, `${packed.size} bytes`)
    const files = new Set(packed.files)
    const needed = ['LICENSE', 'CHANGELOG.md', 'CMakeLists.txt', 'models/catalog.json', 'bin/build-requirements',
      'dist/dashboard/index.html']
    t.strictSame(needed.filter((file) => !files.has(file)), [])
    const surplus = /(^|\/)test|\.test\.|\.node$|\.onnx$|tsbuildinfo|^bin\/setup|^native\/fuzz/
    t.strictSame(packed.files.filter((file) => surplus.test(file)), [])
    const native = (await readdir(join(ROOT, 'native'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile()).map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
      .filter((file) => !file.startsWith('native/fuzz/'))
    t.strictSame(native.filter((file) => !files.has(file)), [], 'the sources of the addon')
    const maps = packed.files.filter((file) => /\.[jt]s\.map$/.test(file))
    const sourceless: string[] = []
    for (const map of maps) {
      const { sources } = JSON.parse(await readFile(join(installed, map), 'utf8')) as { sources: string[] }
      if (!sources.every((source) => files.has(normalize(join(dirname(map), source))))) sourceless.push(map)
    }
    t.ok(maps.length > 0)
    t.strictSame(sourceless, [], 'every source map has its source')
  })

  await t.test('publint and attw find nothing', async (t) => {
    const publint = await run(root, process.execPath, [join(ROOT, 'bin/check-package'), packed.path])
    t.strictSame(publint, { code: 0, stdout: '', stderr: '' })
    const attw = await run(root, join(ROOT, 'node_modules/.bin/attw'), [
      '--format', 'ascii', '--no-emoji', '--profile', 'node16', packed.path,
    ])
    t.equal(attw.code, 0, attw.stdout)
  })

  await t.test('has types for import and require, under NodeNext and bundler resolution', async (t) => {
    await cp(join(ROOT, 'test/package/fixtures/types'), project, { recursive: true })
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    for (const [module, resolution, files] of [
      ['NodeNext', 'NodeNext', ['import.mts', 'require.cts']], ['ESNext', 'bundler', ['--skipLibCheck', 'import.mts']],
    ] as const) {
      const { code, stdout } = await run(project, process.execPath, [
        tsc, '--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'ES2022',
        '--lib', 'ES2022,ESNext.Disposable', '--types', 'node', '--module', module,
        '--moduleResolution', resolution, ...files,
      ])
      t.equal(code, 0, `${resolution}: ${stdout}`)
    }
  })

  await t.test('require gives what import gives, but for what is documented', async (t) => {
    const exported = async (entry: string): Promise<{ esm: Record<string, unknown>; cjs: Record<string, unknown> }> =>
      JSON.parse(await output(project, process.execPath, '--no-experimental-require-module', '-e', `
        const plain = (exports) => Object.fromEntries(Object.entries(exports).sort()
          .map(([name, value]) => [name, typeof value === 'function' ? 'a function' : value]))
        const cjs = plain(require('${entry}'))
        import('${entry}').then((esm) => console.log(JSON.stringify({ esm: plain(esm), cjs })))`,
      )) as { esm: Record<string, unknown>; cjs: Record<string, unknown> }
    const library = await exported('edge-infer')
    for (const importOnly of ['Detector', 'HeadPoseEstimator', 'toNativeImage']) delete library.esm[importOnly]
    t.strictSame(library.cjs, library.esm)
    const client = await exported('edge-infer/client')
    t.strictSame(client.cjs, client.esm)
  })

  const commands = ['node', 'npx', 'sh', 'bash', 'dirname', 'uname', 'apt-get']
  const bare = { PATH: await onlyCommands(join(root, 'bare'), ...commands) }
  const detect = (file: string): Promise<Ran> =>
    run(project, process.execPath, ['--no-experimental-require-module', file, sample], bare)
  const edgeInfer = (args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Ran> =>
    run(project, 'npx', ['--no-install', 'edge-infer', ...args], environment)

  await t.test('without an addon the rest works, and what needs it names the command that builds it', async (t) => {
    t.match(await edgeInfer(['--version'], bare), { code: 0, stdout: (await manifest(ROOT)).version })
    t.match(await edgeInfer(['models', 'list'], bare), { code: 0, stdout: /ultraface-rfb-320/ })
    for (const file of ['detect.mjs', 'detect.cjs']) t.match(await detect(file), { code: 1, stderr: ADDON_ABSENT })
    const ran = await edgeInfer(['run', 'face_detection', sample], bare)
    t.match(ran, { code: 1, stderr: ADDON_ABSENT })
    t.match(await edgeInfer(['serve', '--trace'], bare), {
      code: 1,
      stderr: /--trace needs @opentelemetry\/[a-z-]+, which is not installed\. Run "npm install @opentelemetry\/api/,
    })
    t.match(await edgeInfer(['build'], bare), {
      code: 1,
      stderr: /apt-get install --no-install-recommends g\+\+ make cmake.*\[RUNTIME_UNAVAILABLE\]/s,
    })
    t.match(await edgeInfer(['build', '--parallel', '0'], bare), { code: 2, stderr: /at least 1/ })
  })

  await t.test('with the platform package: detects, by import and require, with no compiler', async (t) => {
    const out = join(root, 'platform')
    await output(ROOT, process.execPath, 'bin/build-platform-package', '--out', out,
      '--addon', join(ROOT, 'build/Release/edge_infer.node'), '--licenses', join(ROOT, 'licenses'))
    const [name] = await readdir(out)
    const platform = await pack(join(out, String(name)), root)
    t.strictSame(platform.files.sort(), [
      'LICENSE', 'README.md', 'edge_infer.node', 'libonnxruntime.so.1', 'licenses/onnxruntime/LICENSE',
      'licenses/onnxruntime/ThirdPartyNotices.txt', 'package.json',
    ])
    await install(project, platform.path)
    const directory = join(project, 'node_modules/@edge-infer', String(name))
    const [esm, cjs] = [detected(await detect('detect.mjs')), detected(await detect('detect.cjs'))]
    t.match(esm, {
      code: 'BAD_OPTION', addon: join(directory, 'edge_infer.node'), runtime: join(directory, 'libonnxruntime.so.1'),
    })
    t.ok(esm.faces >= 2, `${esm.faces} faces`)
    t.strictSame(cjs, esm)

    const addon = join(directory, 'edge_infer.node')
    const built = await readFile(addon)
    await writeFile(addon, withAnotherLibrary(built))
    t.match(await detect('detect.mjs'), {
      code: 1,
      stderr: /cannot be loaded: libopencv_imgcodecs\S+: .* needs glibc 2\.31 or later; .*"npx edge-infer build"/,
    })
    const systemBuild = join(root, 'edge_infer.node')
    await cp(addon, systemBuild)
    const ran = await run(project, process.execPath, ['detect.mjs', sample], { EDGE_INFER_ADDON: systemBuild })
    t.match(ran, { code: 1, stderr: /needs libopencv_imgcodecs\S+ Run "apt-get install .* libopencv-dev libjpeg-dev"/ })
    await writeFile(addon, built)

    const path = join(directory, 'package.json')
    const { version, ...rest } = await manifest(directory)
    await writeFile(path, JSON.stringify({ ...rest, version: '0.0.1' }))
    t.match(await detect('detect.mjs'), {
      code: 1, stderr: `but found 0.0.1. Run "npm install @edge-infer/${name}@${version}"`,
    })
    await writeFile(path, JSON.stringify({ ...rest, version }))
  })

  await t.test('npx edge-infer build compiles the addon, which is then preferred', async (t) => {
    const headers = process.env.ONNXRUNTIME_ROOT ?? join(ROOT, '.cache/onnxruntime-headers')
    const inPackage = join(installed, '.cache/onnxruntime-headers')
    await mkdir(dirname(inPackage))
    await cp(headers, inPackage, { recursive: true })
    // What the set-up of this checkout has fetched is not fetched again.
    const library = relative(ROOT, fetchedRuntimeDirectory())
    await cp(join(ROOT, library), join(installed, library), { recursive: true })
    const built = await edgeInfer(['build'], {
      ONNXRUNTIME_ROOT: '', CMAKE_CXX_COMPILER_LAUNCHER: await compilerCache(join(root, 'compiler-cache')),
    })
    t.match(built, { code: 0, stdout: join(installed, 'build/Release/edge_infer.node') }, built.stderr)
    await rm(join(project, 'node_modules/@edge-infer'), { recursive: true })
    t.match(detected(await detect('detect.cjs')), {
      addon: join(installed, 'build/Release/edge_infer.node'), runtime: join(installed, library, 'libonnxruntime.so.1'),
    })
  })
})

interface Manifest extends Record<string, unknown> {
  version: string
  devDependencies: Record<string, string>
}

async function manifest(directory: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as Manifest
}

function detected({ code, stdout, stderr }: Ran): Detected {
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Detected
}

/**
 * Runs the compiler as CMake asks, without optimisation; what the repository's own build has compiled from the same
 * sources of native/core is taken from there, which spares two minutes on a busy machine.
 */
async function compilerCache(path: string): Promise<string> {
  await writeFile(path, `#!/bin/bash
while read -r object; do
  if [[ $object == *edge_infer_core.dir/* && -e ${ROOT}build/$object ]]; then
    exec cp "${ROOT}build/$object" "$object"
  fi
done < <(printf '%s\\n' "$@" | grep '[.]o$')
exec "\${@/#-O3/-O0}"
`, { mode: 0o755 })
  return path
}

/** The addon as it would be on a machine whose OpenCV has another version: it asks for a library that is not there. */
function withAnotherLibrary(addon: Buffer): Buffer {
  const copy = Buffer.from(addon)
  const name = 'libopencv_imgcodecs.so.'
  copy.write('9', copy.indexOf(name) + name.length)
  return copy
}
