/** A cluster with a token, over TLS with a certificate of its own. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import t from 'tap'
import { HostAgent } from '../../lib/cluster/host-agent.js'
import { PeerClient } from '../../lib/cluster/index.js'
import { EdgeInferClient } from '../../lib/client/index.js'
import { resolveSample } from '../../lib/models/index.js'
import { finished, runCli, spawnCli } from '../cli/run.js'
import { eventually, NodeProcess, startHost } from './nodes.js'

const TOKEN = 'the-cluster-s-token'
const folder = t.testdir()
const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
execFileSync('openssl', [
  'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj',
  '/CN=edge-infer test',
  '-addext', 'subjectAltName=IP:127.0.0.1,IP:127.0.0.2', '-keyout', keyFile, '-out', certFile,
], { stdio: 'ignore' })
const ca = readFileSync(certFile, 'utf8')
const tls = ['--tls-cert', certFile, '--tls-key', keyFile]

t.test('the right token and authority join, all others are refused', async (t) => {
  const cloud = await NodeProcess.start(t, '127.0.0.1', 5640, '--token', TOKEN, ...tls)
  await startHost(t, cloud, '127.0.0.2', 5640, '--token', TOKEN, '--ca', certFile, ...tls)
  const peer = new PeerClient({ ca, timeoutMs: 5000, maxBytes: 1 << 20 })
  t.teardown(() => peer.close())
  const info = async (): Promise<string[]> => Object.keys(
    (await peer.get(`${cloud.url}/get_cluster_info`)).body as object,
  )
  await eventually(t, 'it has joined', info, (keys) => keys.join() === '127.0.0.1,127.0.0.2')
  t.match((await peer.get(`${cloud.url}/get_execute_url/face_detection`)).body, {
    '127.0.0.2:5640': { url: 'https://127.0.0.2:5640/execute_task/face_detection' },
  })

  const { body } = await peer.get(`${cloud.url}/nodes`)
  const [status] = (body as { nodes: [Parameters<typeof Object.keys>[0]] }).nodes
  const join = (token: string | undefined, authority: string | undefined): HostAgent => {
    const agent = new HostAgent({
      cloud: cloud.url, token, ca: authority, intervalMs: 200, self: { ip: '127.0.0.3', port: 1, scheme: 'http' },
      readStatus: () => status as never, log: pino({ level: 'silent' }),
    })
    agent.start()
    t.teardown(() => agent.stop())
    return agent
  }
  for (const [token, authority, state, reason] of [
    ['another-token', ca, 'refused', /another token/], [undefined, ca, 'refused', /none/],
    [TOKEN, undefined, 'unreachable', /self-signed/],
  ] as const) {
    const agent = join(token, authority)
    await eventually(t, state, async () => agent, ({ connectionState }) => connectionState === state)
    t.match(agent.reason, reason)
  }
  t.same(await info(), ['127.0.0.1', '127.0.0.2'])
  for (const path of ['/cluster/leave', '/cluster/heartbeat', '/register_edge', '/update_client_status']) {
    t.match(
      await peer.post(cloud.url + path, { ip: '127.0.0.2', port: 5640 }, undefined), {
        status: 401, body: { error: { code: 'UNAUTHORIZED' } },
      },
    )
  }
  t.match(await peer.get(`${cloud.url}/register_edge`), { status: 401 }, 'older nodes need --open-registration')

  await using client = EdgeInferClient.cluster(cloud.url, { tls: { ca }, policy: 'round-robin' })
  const image = readFileSync(await resolveSample('faces'))
  const served = new Set<string>()
  for (let call = 0; call < 4; call++) {
    served.add((await client.executeTask('face_detection', { image })).proc_resource_info.device_ip)
  }
  t.same([...served].sort(), ['127.0.0.1', '127.0.0.2'])

  t.match(await finished(spawnCli(['status', cloud.url, '--ca', certFile])), { code: 0, stdout: /2 nodes, 2 workers/ })
  t.match(await runCli('status', cloud.url), { code: 1, stderr: /self-signed.*NODE_UNREACHABLE/ })
})

t.test('options that cannot work are refused before anything starts', async (t) => {
  const refused = async (expected: RegExp, ...args: string[]): Promise<unknown> =>
    t.match(await runCli('serve', '--task', 'face_detection', ...args), { code: 1, stderr: expected })
  await Promise.all([
    refused(/Expected --cloud/, '--role', 'host'),
    refused(/Expected --role host/, '--cloud', 'http://127.0.0.1:1'),
    refused(/cannot reach a host that listens on 127\.0\.0\.1; --host 0\.0\.0\.0/, '--role', 'host', '--cloud', 'http://192.0.2.1:5500'),
  ])
  await Promise.all([
    refused(/together/, '--tls-cert', certFile),
    refused(/no certificate and its key/, '--tls-cert', keyFile, '--tls-key', certFile),
    refused(/URL of a cloud/, '--role', 'host', '--cloud', 'cloud:5500'),
  ])
})
