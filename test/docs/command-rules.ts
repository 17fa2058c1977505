/** What a test cannot do as the documentation has it: how a command is shortened, or why it is not run. */

/** Ports, addresses and names of the documentation, and what stands for them in a test. */
export interface Stage {
  /** Port of the node that runs. */
  port: number
  /** A worker of that node. */
  pid: number
  /** Directory with models. */
  models: string
  /** Directory with labelled pictures. */
  data: string
}

export function onStage(text: string, { port, pid, models, data }: Stage): string {
  return text
    .replaceAll('--host 0.0.0.0 --port 5501', '--host 127.0.0.2 --port 0 --task face_detection=1')
    .replaceAll('--host 0.0.0.0 --port 5500', '--host 127.0.0.3 --port 0 --task face_detection=1')
    .replaceAll('--host 127.0.0.1 --port 5500', '--host 127.0.0.1 --port 0')
    .replace(/serve( --trace)?$/, 'serve --port 0$1')
    .replace(/serve --task/, 'serve --port 0 --task')
    .replaceAll('192.168.1.20:5500', `127.0.0.1:${port}`)
    .replaceAll('127.0.0.1:5500', `127.0.0.1:${port}`)
    .replaceAll("'127.0.0.1', 5500", `'127.0.0.1', ${port}`)
    .replaceAll('"pid": 4711', `"pid": ${pid}`)
    .replaceAll('/srv/models', models)
    .replaceAll('--data DIR', `--data ${data}`)
    .replaceAll('yolov8s', 'yolov8n')
}

/** Options that make a measurement short. */
export const SHORTENED: readonly (readonly [RegExp, string])[] = [
  [/^edge-infer bench kernel /, '--request-count 3 --warmup-request-count 1 --concurrent-runs 0 --no-floor'],
  [/^edge-infer bench limits /, '--limit 0.5 --workers 1 --seconds 1'],
  [/^edge-infer bench serve /, '--measurement-interval 200 --form raw --stability-percentage 100'],
]

/** Commands that go on until they are told to end, and what they have said by then. */
export const ENDLESS: readonly (readonly [RegExp, RegExp])[] = [
  [/edge-infer serve/, /Listening on http/],
  [/edge-infer status .*--watch/, /face_detection/],
]

export interface NotRun {
  command: RegExp
  why: string
}

/** Every one must still be in the documentation. Their shell syntax and the options of edge-infer are checked all the same. */
export const NOT_RUN: readonly NotRun[] = [
  { command: /^npm run quickstart$/, why: 'test/cli/quickstart.test.ts runs what it runs after the set-up' },
  { command: /^npm test$/, why: 'this is a part of it' },
  { command: /^npm install( --global)? edge-infer$/, why: 'needs the published package; test/package installs the packed one' },
  { command: /^npx edge-infer build$/, why: 'compiles the addon; test/package runs it' },
  { command: /^npm run build /, why: 'builds into the tree that is being tested; test/package runs it' },
  { command: /^npm install @opentelemetry\//, why: 'the packages are here, for the tests' },
  { command: /^npm (publish|pkg set)/, why: 'publishes' },
  { command: /^(useradd|cp|mkdir|systemctl) /, why: 'changes the machine' },
  { command: /^apt-get /, why: 'changes the machine' },
  { command: /^docker /, why: 'needs a Docker engine' },
  { command: /^kubectl /, why: 'needs a cluster' },
  { command: /^(git clone|\.\/build\.sh) /, why: 'builds ONNX Runtime on a Jetson' },
  { command: /^export EDGE_INFER_ORT_LIBRARY=/, why: 'names a library of a Jetson' },
  { command: /serve --device tensorrt$/, why: 'needs a GPU' },
  { command: /^edge-infer bench compare /, why: 'fetches and builds its peers; test/bench/compare.test.ts runs it' },
  { command: /^edge-infer models quantize .*--labels/, why: 'takes minutes; test/cli/models-quantize.test.ts runs one' },
  { command: /^edge-infer bench accuracy .*(DIR|rfb-640)$/, why: 'takes minutes; test/bench/accuracy.test.ts measures some of it' },
]
