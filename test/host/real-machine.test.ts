import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, connect, type AddressInfo } from 'node:net'
import { availableParallelism, totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  createSampler, defaultAdvertiseAddress, hostAddresses, readCpuFeatures, readProcess,
} from '../../lib/host/index.js'
import { parseCpuList } from '../../lib/host/cgroup/index.js'
import { until } from './trees.js'

function allowedCpus(): number[] {
  const line = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return parseCpuList(line?.[1] ?? '')
}

function startProcess(t: Test, command: string, args: string[]): ChildProcess & { pid: number } {
  const child = spawn(command, args, { stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  if (child.pid === undefined) throw new Error(`${command} did not start`)
  return child as ChildProcess & { pid: number }
}

t.test('a busy loop shows up in its core, in the background, and in its process', async t => {
  const cpus = allowedCpus()
  const sampler = createSampler({ intervalMs: 500 })
  t.teardown(() => sampler.stop())
  t.equal(sampler.current().cpu_ratio.length, cpus.length, 'one entry a core')
  t.ok(Math.abs(sampler.current().mem_total - totalmem() / 2 ** 30) < 0.01)
  const first = sampler.current()
  const busy = startProcess(t, 'taskset', ['-c', String(cpus[0]), process.execPath, '-e', 'for (;;);'])
  sampler.watch(busy.pid)
  await until(() => (sampler.process(busy.pid)?.cpuSeconds ?? 0) > 0.5, 'half a second of work sampled')
  await until(() => (sampler.current().cpu_ratio[0] ?? 0) >= 85, 'first core busy')
  t.not(sampler.current(), first)
  const share = sampler.process(busy.pid)?.cpuPercent ?? 0
  // Clock ticks are counted: over half a second some percent too many can be seen.
  t.ok(share > 0 && share <= 120 / cpus.length, `the process has ${share} % of all`)
  const times = readProcess(busy.pid)
  t.ok(times !== undefined && times.cpuSeconds > 0.5 && times.rssBytes > 10e6 && times.startTime > 0)

  busy.kill('SIGKILL')
  await until(() => sampler.process(busy.pid) === undefined, 'the process forgotten')
  t.equal(readProcess(busy.pid), undefined)
})

t.test('what goes over the loopback interface is not network', async t => {
  const sampler = createSampler({ intervalMs: 1e9 })
  t.teardown(() => sampler.stop())
  const bytes = 200e6
  const server = createServer(socket => socket.resume())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  await sleep(300)
  sampler.sampleNow()
  const started = performance.now()
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const chunk = Buffer.alloc(1e6)
  for (let sent = 0; sent < bytes; sent += chunk.length) {
    if (!socket.write(chunk)) await new Promise(resolve => socket.once('drain', resolve))
  }
  await new Promise<void>(resolve => socket.end(resolve))
  await sleep(100)
  const seconds = (performance.now() - started) / 1000
  const counted = sampler.sampleNow()['net_ratio(MBps)'] * seconds * 1e6
  t.ok(counted < bytes / 2, `${counted.toFixed(0)} of ${2 * bytes} bytes counted`)
  server.close()
})

t.test('a sample a second costs a small part of a core', async t => {
  const sampler = createSampler({ intervalMs: 20, searchPath: '' })
  t.teardown(() => sampler.stop())
  for (let pid = process.pid, n = 0; n < 4; n++, pid = process.ppid) sampler.watch(pid)
  await sleep(300)
  let samples = 0
  let last = sampler.current()
  const before = process.cpuUsage()
  while (samples < 30) {
    await sleep(5)
    if (sampler.current() !== last) samples++
    last = sampler.current()
  }
  const { user, system } = process.cpuUsage(before)
  const percent = (user + system) / 1e4 / samples
  t.ok(percent < 5, `${percent.toFixed(3)} % of a core`)
})

t.test('addresses and features of this machine', async t => {
  const addresses = hostAddresses()
  t.ok(addresses.every(address => /^\d+\.\d+\.\d+\.\d+$/.test(address) && !address.startsWith('127.')))
  t.equal(defaultAdvertiseAddress(), addresses[0] ?? '127.0.0.1')
  const { cores, model, features } = readCpuFeatures()
  t.ok(cores >= availableParallelism() && model !== 'unknown', `${model}, ${cores} cores: ${features.join(' ')}`)
})
