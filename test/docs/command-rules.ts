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

/** Every pattern must still be found in the documentation, as every one of the lists below. */
export const SUBSTITUTES: readonly (readonly [RegExp, (stage: Stage) => string])[] = [
  [/--host 0\.0\.0\.0 --port 5501/g, () => '--host 127.0.0.2 --port 0 --task face_detection=1'],
  [/--host 0\.0\.0\.0 --port 5500/g, () => '--host 127.0.0.3 --port 0 --task face_detection=1'],
  [/--host 127\.0\.0\.1 --port 5500/g, () => '--host 127.0.0.1 --port 0'],
  // npx keeps to itself the signal that ends it here, where there is no terminal to send it to both.
  [/^npx (?=edge-infer serve )/g, () => ''],
  [/serve(?=( --trace)?$)/g, () => 'serve --port 0'],
  [/serve(?= --task)/g, () => 'serve --port 0'],
  [/192\.168\.1\.20:5500/g, ({ port }) => `127.0.0.1:${port}`],
  [/127\.0\.0\.1:5500/g, ({ port }) => `127.0.0.1:${port}`],
  [/(?<='127\.0\.0\.1', )5500/g, ({ port }) => `${port}`],
  [/(?<="pid": )4711/g, ({ pid }) => `${pid}`],
  [/\/srv\/models/g, ({ models }) => models],
  // A page's <input type="file">.
  [/input\.files\[0\]/g, () => "new Blob([(await import('node:fs')).readFileSync('photo.jpg')])"],
  [/(?<=--data )DIR/g, ({ data }) => data],
  [/yolov8s/g, () => 'yolov8n'],
  [/--soak 30m/g, () => '--soak 3s'],
]

export function onStage(text: string, stage: Stage): string {
  return SUBSTITUTES.reduce((changed, [pattern, of]) => changed.replaceAll(pattern, of(stage)), text)
}

/** Options that make a measurement short. */
export const SHORTENED: readonly (readonly [RegExp, string])[] = [
  [/^edge-infer bench kernel /, '--request-count 3 --warmup-request-count 1 --concurrent-runs 0 --no-floor'],
  [/^edge-infer bench limits /, '--limit 0.5 --workers 1 --seconds 1'],
  [/^edge-infer bench serve /,
    '--measurement-interval 200 --form raw --stability-percentage 100 --concurrency-range 1'],
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

/** Their shell syntax, and the commands and options of edge-infer in them, are checked all the same. */
export const NOT_RUN: readonly NotRun[] = [
  { command: /^npm run quickstart$/, why: 'test/cli/quickstart.test.ts runs what it runs after the set-up' },
  { command: /^npm (test$|run (check|test:unit|test:sanitize|test:cgroup2|fuzz|chaos)\b)/,
    why: 'npm test runs them, or has this as a part' },
  { command: /^bash bin\/setup /, why: 'npm test has run it' },
  { command: /^(npm run build:|cmake )/, why: 'builds into the tree that is being tested' },
  { command: /^(build\/edge_infer_core_test|bash test\/native\/valgrind\.sh|gdb) ?/,
    why: 'needs a build for tests, or a debugger' },
  { command: /^npm install( --global)? \.\/edge-infer-/,
    why: 'npm run test:install does; test/package has tarballs of its own' },
  { command: /^npm run test:arm64\b/, why: 'takes minutes of a processor, emulates another' },
  { command: /^(bin\/build-release|EDGE_INFER_ADDON=)/, why: 'builds for minutes and needs root' },
  { command: /^npm run (release|test:install)\b/, why: 'builds for minutes and needs root; publishes' },
  { command: /^npx edge-infer build$/, why: 'compiles the addon; test/package runs it' },
  { command: /^npm install @opentelemetry\//, why: 'the packages are here, for the tests' },
  { command: /^(useradd|cp|mkdir|systemctl) /, why: 'changes the machine' },
  { command: /^docker /, why: 'needs a Docker engine' },
  { command: /^kubectl /, why: 'needs a cluster' },
  { command: /^(git clone|\.\/build\.sh) /, why: 'builds ONNX Runtime on a Jetson' },
  { command: /^export EDGE_INFER_ORT_LIBRARY=/, why: 'names a library of a Jetson' },
  { command: /serve --device tensorrt$/, why: 'needs a GPU' },
  { command: /^edge-infer bench compare /, why: 'fetches and builds its peers; test/bench/compare.test.ts runs it' },
  { command: /^edge-infer (models quantize|run .*int8)/, why: 'models-quantize.test.ts runs them' },
  { command: /^edge-infer bench accuracy .*(DIR|rfb-640)$/, why: 'takes minutes; accuracy.test.ts has some' },
]
