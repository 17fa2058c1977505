import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { defaultRouteInterface } from '../../lib/host/addresses.js'
import { HostFiles } from '../../lib/host/host-files.js'
import { readCpuFeatures, readProcess } from '../../lib/host/index.js'
import { openTree, samplerOf } from './trees.js'

t.test('an x86 server: each core, memory, swap, and each byte on the wire once', async t => {
  const tree = openTree(t, 'x86-server')
  const sampler = samplerOf(t, tree)
  t.equal(sampler.current().cpu_ratio.length, 8, 'a first sample at once')
  t.ok(sampler.current().cpu_ratio.every(percent => percent > 1 && percent < 2), 'which is the mean since boot')
  sampler.watch(4242)
  tree.advance()
  t.strictSame(sampler.sampleNow(), {
    cpu_ratio: [0, 10, 20, 30, 40, 50, 60, 50],
    n_cpu: 8,
    mem_ratio: 75,
    mem_total: 31.25,
    'net_ratio(MBps)': 2,
    swap_ratio: 100,
    gpu_mem: {},
    gpu_utilization: {},
    gpu_mem_total: {},
  })
  t.match(sampler.process(4242), { cpuPercent: 25, memPercent: 0.63, startTime: 660, rssBytes: 51200 * 4096 })
  t.strictSame(readProcess(4242, tree), { cpuSeconds: 7, rssBytes: 51200 * 4096, startTime: 660 })
  t.equal(defaultRouteInterface(new HostFiles(tree.root)), 'bond0')
  t.strictSame(sampler.flat(), {
    cpu_ratio: 32.5,
    n_cpu: 8,
    mem_total: 31.25,
    mem_ratio: 75,
    swap_ratio: 100,
    'net_ratio(MBps)': 2,
    gpu_mem_utilization: {},
    gpu_compute_utilization: {},
    gpu_mem_total: {},
  })

  const before = sampler.current()
  t.strictSame(sampler.sampleNow(), before, 'no time has passed: the same figures, not zeros')

  rmSync(join(tree.root, 'proc/4242'), { recursive: true })
  rmSync(join(tree.root, 'proc/meminfo'))
  rmSync(join(tree.root, 'proc/stat'))
  t.match(sampler.sampleNow(), { mem_ratio: 0, cpu_ratio: before.cpu_ratio }, 'files that disappear break nothing')
  t.equal(sampler.process(4242), undefined)
})

t.test('counters that start again and a pid that is used again do not make figures', async t => {
  const tree = openTree(t, 'x86-server')
  tree.advance()
  const sampler = samplerOf(t, tree)
  sampler.watch(4242)
  const older = openTree(t, 'x86-server')
  for (const file of ['proc/stat', 'proc/net/dev']) renameSync(join(older.root, file), join(tree.root, file))
  const fields = ['4242 (x) S', ...new Array(10).fill(1), 900, 900, ...new Array(6).fill(1), 77, 1, 9]
  writeFileSync(join(tree.root, 'proc/4242/stat'), fields.join(' '))
  tree.clock.nowMs += 1000
  t.match(sampler.sampleNow(), { cpu_ratio: new Array(8).fill(0), 'net_ratio(MBps)': 0 })
  t.match(sampler.process(4242), { cpuPercent: 0, startTime: 0.77 })
})

t.test('a Jetson Nano with two of its cores off: gpu.0/load, and what nvmap holds', async t => {
  const tree = openTree(t, 'jetson-nano')
  const sampler = samplerOf(t, tree)
  const gpu = { gpu_mem: { 0: 0.25 }, gpu_utilization: { 0: 43.7 }, gpu_mem_total: { 0: 3.872 } }
  t.match(sampler.current(), gpu)
  tree.advance()
  t.match(sampler.sampleNow(), {
    cpu_ratio: [75, 25], n_cpu: 2, mem_ratio: 50, swap_ratio: 0, 'net_ratio(MBps)': 3, gpu_utilization: { 0: 100 },
  })
  t.match(sampler.flat(), { gpu_mem_utilization: { 0: 0.25 }, gpu_compute_utilization: { 0: 100 } })
  rmSync(join(tree.root, 'sys/kernel'), { recursive: true })
  t.match(sampler.sampleNow(), { gpu_mem: { 0: 0.5 } }, 'without nvmap: all that is used of the shared memory')
  t.match(readCpuFeatures(tree), { model: /ARMv8.*Jetson Nano/, cores: 2, features: ['neon'] })
})

t.test('a Jetson Orin, and the names and places other boards and kernels use', async t => {
  const tree = openTree(t, 'jetson-orin')
  const gpu = { gpu_mem: { 0: 0.1 }, gpu_utilization: { 0: 61.3 }, gpu_mem_total: { 0: 7.5 } }
  t.match(samplerOf(t, tree).current(), gpu)
  t.match(readCpuFeatures(tree), { model: /Orin/, cores: 6, features: ['neon', 'fp16', 'dotprod'] })
  rmSync(join(tree.root, 'sys'), { recursive: true })
  for (const folder of [
    'sys/devices/gpu.0', 'sys/devices/17000000.gp10b',
    'sys/devices/platform/gpu.0', 'sys/devices/platform/host1x/gpu.0', 'sys/devices/platform/bus@0/17000000.gpu',
    'sys/devices/platform/17000000.gv11b', 'sys/devices/platform/17000000.ga10b',
    'sys/class/devfreq/17000000.ga10b/device',
  ]) {
    mkdirSync(join(tree.root, folder), { recursive: true })
    writeFileSync(join(tree.root, folder, 'load'), '613\n')
    t.match(samplerOf(t, tree).current(), { gpu_utilization: { 0: 61.3 } }, folder)
    rmSync(join(tree.root, 'sys'), { recursive: true })
  }
  mkdirSync(join(tree.root, 'sys/class/devfreq/fb000000.gpu'), { recursive: true })
  writeFileSync(join(tree.root, 'sys/class/devfreq/fb000000.gpu/load'), '50@300000000Hz\n')
  t.match(samplerOf(t, tree).current(), { gpu_utilization: {} }, 'another maker\'s GPU is not a Jetson\'s')
})

t.test('in a container of cgroup v1: its share of the machine', async t => {
  const tree = openTree(t, 'container-v1')
  const sampler = samplerOf(t, tree)
  tree.advance()
  t.match(sampler.sampleNow(), {
    cpu_ratio: [50, 50], n_cpu: 2, mem_total: 2, mem_ratio: 25, swap_ratio: 25, 'net_ratio(MBps)': 1,
  })
  t.strictSame(sampler.capacity(), {
    cores: 1.5, quotaFile: '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us', memoryBytes: 2 ** 31, cpus: [0, 1, 2, 3],
    memoryNodes: [0],
  })
})

t.test('in a container of cgroup v2, from a leaf below the group that is limited', async t => {
  const tree = openTree(t, 'container-v2')
  const sampler = samplerOf(t, tree)
  tree.advance()
  t.match(sampler.sampleNow(), { cpu_ratio: [25, 25], n_cpu: 2, mem_total: 1, mem_ratio: 25, swap_ratio: 0 })

  writeFileSync(join(tree.root, 'sys/fs/cgroup/cpu.max'), 'max 100000\n')
  writeFileSync(join(tree.root, 'sys/fs/cgroup/memory.max'), `${2 ** 40}\n`)
  writeFileSync(join(tree.root, 'sys/fs/cgroup/memory.swap.max'), 'max\n')
  tree.clock.nowMs += 11_000
  t.match(sampler.sampleNow(), { n_cpu: 3, mem_total: 8, swap_ratio: 50 }, 'limits that were lifted, within 10 s')
})

t.test('a machine that shows nothing still has a complete state', async t => {
  const sampler = samplerOf(t, { root: t.testdir({}), clock: { nowMs: 0 }, advance: () => {} })
  t.strictSame(sampler.current(), {
    cpu_ratio: [], n_cpu: 1, mem_ratio: 0, mem_total: 0, 'net_ratio(MBps)': 0, swap_ratio: 0,
    gpu_mem: {}, gpu_utilization: {}, gpu_mem_total: {},
  })
  t.equal(sampler.flat().cpu_ratio, 0)
})
