/** The control groups of `edge-infer serve`: gone after SIGTERM, and by the next start after SIGKILL. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { locateGroups } from '../../lib/host/cgroup/location.js'
import { HostFiles } from '../../lib/host/host-files.js'
import { noLimits } from '../helpers/limits.js'
import { serveInProcess } from './serve-process.js'

/** The groups of the server with that pid, in every hierarchy. */
function groupsOf(pid: number | undefined): string[] {
  const { v1, v2 } = locateGroups(new HostFiles())
  const owns = new Set([...v1.values(), ...(v2 ? [v2] : [])].map(({ own }) => own))
  return [...owns].flatMap((own) =>
    readdirSync(own).filter((name) => /^edge-infer\.\d+\.(\d+)\./.exec(name)?.[1] === `${pid}`)
      .map((name) => join(own, name)))
}

t.test('SIGTERM removes them; what SIGKILL leaves the next server removes', { skip: noLimits }, async (t) => {
  const first = await serveInProcess(t, ['--task', 'face_detection=1'])
  const groups = groupsOf(first.child.pid)
  t.ok(groups.length > 0)
  first.child.kill('SIGKILL')
  await first.result

  const second = await serveInProcess(t, ['--task', 'face_detection=1'])
  t.notOk(groups.some(existsSync))
  const limit = await fetch(`${second.url}/limit_task_resource`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ task_name: 'face_detection', cpu_util_limit: 0.5, mem_util_limit: 0.9 }),
  })
  t.match(await limit.json(), { limit_flag: true })
  t.ok(groupsOf(second.child.pid).length > 0)
  t.equal((await second.stop()).code, 0)
  t.strictSame(groupsOf(second.child.pid), [])
})
