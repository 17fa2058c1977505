/** Whoever should take what the commands write is gone, stands still, or is a full disk. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { resolveModel, resolveSample } from '../../lib/models/index.js'
import { until } from '../helpers/processes.js'
import { face, writeVideo } from '../helpers/pictures.js'
import { serve as serveHttp } from '../models/helpers.js'

const CLI = new URL('../../../bin/edge-infer', import.meta.url).pathname
const picture = await resolveSample('faces')

type Place = 'read' | 'gone' | 'full' | 'stuck'

interface Command {
  child: ChildProcess
  /** What was read of standard output and standard error. */
  stdout: Promise<string>
  stderr: Promise<string>
  code: Promise<number | null>
}

/** `gone`: nobody reads; `stuck`: nobody reads yet; `full`: a device that is full. */
function start(args: readonly string[], stdout: Place, stderr: Place = 'read'): Command {
  const full = openSync('/dev/full', 'w')
  const stdio = [stdout, stderr].map((place) => place === 'full' ? full : 'pipe')
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, CLI, ...args], { stdio: ['ignore', ...stdio] })
  closeSync(full)
  const code = once(child, 'close').then(([value]) => value as number | null)
  const reading = ([stream, place]: readonly [ChildProcess['stdout'], Place]): Promise<string> => {
    if (place === 'gone') stream?.destroy()
    return stream && place === 'read' ? text(stream) : Promise.resolve('')
  }
  return { child, stdout: reading([child.stdout, stdout]), stderr: reading([child.stderr, stderr]), code }
}

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

async function end(...args: Parameters<typeof start>): Promise<Ended> {
  const { code, stdout, stderr } = start(...args)
  return { code: await code, stdout: await stdout, stderr: await stderr }
}

/** A node that is asked for its status. */
const node = await serveHttp(t, (_request, response) => {
  response.end(JSON.stringify({ role: 'cloud', nodes: [{
    id: '127.0.0.1:1', key: '127.0.0.1', ip: '127.0.0.1', port: 1, url: 'http://127.0.0.1:1', role: 'cloud', kind: 'self',
    interval_ms: 2000, age_ms: 0, lost: false, service_state: {}, device_state: { cpu_ratio: [0], gpu_mem: {} },
  }] }))
})

const COMMANDS = [
  ['--help'], ['models', 'list', '--json'], ['inspect'], ['status', '--json', node],
  ['run', 'face_detection', '--json', picture],
]

t.test('a reader that has gone ends a command quietly, a full disk is an error', async (t) => {
  for (const args of COMMANDS) {
    const [whole, gone, full, mute] = await Promise.all([
      end(args, 'read'), end(args, 'gone'), end(args, 'full'), end(args, 'read', 'full'),
    ])
    const name = args.join(' ')
    t.match(gone, { code: 141, stderr: '' }, name)
    t.match(full, { code: 1, stderr: /^error: Standard output cannot be written: ENOSPC.*\[NOT_WRITTEN\]\n$/ }, name)
    t.strictSame([mute.code, mute.stdout.length > 0], [whole.code, true], `${name} without standard error`)
  }
  for (const place of ['gone', 'full'] as const) {
    t.match(await end(['run'], 'read', place), { code: 2 }, `misuse, standard error ${place}`)
    t.match(await end(['status', 'http://127.0.0.1:1'], 'read', place), { code: 1 }, `failure, standard error ${place}`)
  }
})

t.test('a command that goes on ends when its reader goes', async (t) => {
  const watching = start(['status', '--watch', '--json', node], 'stuck')
  await once(watching.child.stdout as NodeJS.ReadableStream, 'readable')
  watching.child.stdout?.destroy()
  t.strictSame([await watching.code, await watching.stderr], [141, ''])
})

const namespaces = spawnSync('unshare', ['-rm', 'true']).status === 0 || 'mount namespaces are not allowed here'

t.test('results on a full disk', { skip: namespaces === true ? false : namespaces }, async (t) => {
  const directory = t.testdir({ full: {}, pictures: { '1.jpg': face } })
  const { paths: [model] } = await resolveModel('ultraface-rfb-320')
  await writeVideo(join(directory, 'video.mp4'), 40)
  const models = Array.from({ length: 500 }, (_, index) => ({
    name: `model-${index}`, task: 'car_detection', family: 'yolov8', licence: { id: 'MIT' }, obtain: 'no',
    input: { name: 'images', width: 640, height: 640 }, labelSet: 'coco80',
    files: [{ name: `${index}.onnx`, sources: [] }],
  }))
  writeFileSync(join(directory, 'catalog.json'), JSON.stringify({ models }))
  const onFullDisk = (args: string, kilobytes: number): Promise<{ code: unknown; stderr: string }> => {
    const script = 'mount -t tmpfs -o size=$1k none "$2/full" && cd "$2" && shift 2 && eval "$@"'
    const command = `"${process.execPath}" "${CLI}" ${args}`
    const child = spawn('env', [
      '-u', 'NODE_OPTIONS', `EDGE_INFER_CATALOG=${directory}/catalog.json`,
      'unshare', '-rm', 'bash', '-c', script, 'bash', String(kilobytes), directory, command,
    ], { stdio: ['ignore', 'ignore', 'pipe'] })
    const stderr = text(child.stderr)
    return once(child, 'close').then(async ([code]: unknown[]) => ({ code, stderr: await stderr }))
  }
  const bench = 'bench kernel --task face_detection --no-floor --concurrent-runs 0 ' +
    '--request-count 1 --warmup-request-count 0'
  const cases: [string, number, RegExp][] = [
    ['models list --json > full/list.json', 16, /Standard output cannot be written: ENOSPC/],
    [`run face_detection "${picture}" --out full/a.jpg`, 16, /full\/a\.jpg cannot be written: ENOSPC/],
    ['run face_detection video.mp4 --out full/a.mp4', 16, /full\/a\.mp4 cannot be written: .*No space left on device/],
    [`${bench} --output full/report.html`, 4, /The report full\/report\.html cannot be written: ENOSPC/],
    [`models quantize "${model}" --calibrate pictures --out full/int8.onnx`, 16,
      /The file of --out cannot be written: ENOSPC/],
    ['quickstart --out full/pictures', 16, /full\/pictures\/faces\.jpg cannot be written: ENOSPC/],
  ]
  for (const [args, kilobytes, message] of cases) {
    const { code, stderr } = await onFullDisk(args, kilobytes)
    t.equal(code, 1, args)
    t.match(stderr, message)
    t.match(stderr, /\[NOT_WRITTEN\]\n$/)
  }
})

/** The port that a process listens on, once it does. */
function listeningPort(pid: number): number | undefined {
  const sockets = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`)
    } catch {
      return ''
    }
  })
  const listening = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').map((line) => line.trim().split(/\s+/))
    .find(([, , , state, , , , , , inode]) => state === '0A' && sockets.includes(`socket:[${inode}]`))
  return listening && Number.parseInt(listening[1]?.split(':')[1] ?? '', 16)
}

const MISSED: [log: Place, words: Place, missed: { stdout: boolean; stderr: boolean }][] = [
  ['gone', 'gone', { stdout: true, stderr: true }],
  ['full', 'full', { stdout: true, stderr: true }],
  ['read', 'full', { stdout: false, stderr: true }],
  ['stuck', 'read', { stdout: false, stderr: false }],
]

t.test('a server outlives those that read its log, counts what they miss, and ends at a signal', async (t) => {
  await Promise.all(MISSED.map(async ([log, words, missed]) => {
    const name = `log ${log}, words ${words}`
    const args = ['serve', '--task', 'face_detection', '--port', '0', '--log-level', 'debug']
    const { child, code } = start(args, log, words)
    t.teardown(() => child.kill('SIGKILL'))
    let port: number | undefined
    await until(() => (port = listeningPort(child.pid as number)) !== undefined)
    const url = `http://127.0.0.1:${port}`
    const metrics = await (await fetch(`${url}/metrics`)).text()
    for (const [stream, some] of Object.entries(missed)) {
      const line = new RegExp(`^edge_infer_log_lines_lost_total{stream="${stream}"} (\\d+)$`, 'm')
      t.equal(Number(line.exec(metrics)?.[1]) > 0, some, `${name}: ${stream}`)
    }
    // More than a pipe holds.
    if (log === 'stuck') for (let count = 0; count < 600; count++) await (await fetch(`${url}/healthz`)).text()
    t.match(await (await fetch(`${url}/readyz`)).json(), { status: 'ready' }, name)
    child.kill('SIGTERM')
    t.equal(await code, 0, name)
  }))
})
