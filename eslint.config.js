/** What `npm run check` asks of TypeScript and JavaScript: faults that the compiler does not see, and one style. */
import stylistic from '@stylistic/eslint-plugin'
import tseslint from 'typescript-eslint'

/** Programs without an extension. */
const SCRIPTS = [
  'build-commonjs', 'build-error-page', 'build-platform-package', 'check', 'check-clang-tidy', 'check-layers',
  'check-package', 'draw-architecture',
  'edge-infer', 'fetch-runtime', 'test-node-versions', 'fuzz-seeds', 'release',
].map((name) => `bin/${name}`)

const style = {
  ...stylistic.configs.customize({ indent: 2, quotes: 'single', semi: false, braceStyle: '1tbs', jsx: true }).rules,
  '@stylistic/max-len': ['error', { code: 120, ignoreUrls: true }],
  '@stylistic/quotes': ['error', 'single', { avoidEscape: true, allowTemplateLiterals: 'always' }],
  '@stylistic/arrow-parens': 'off',
  '@stylistic/member-delimiter-style': ['error', {
    multiline: { delimiter: 'none' }, singleline: { delimiter: 'semi' },
  }],
  ...Object.fromEntries([
    'indent-binary-ops', 'jsx-closing-bracket-location', 'jsx-first-prop-new-line', 'jsx-max-props-per-line',
    'jsx-one-expression-per-line', 'jsx-wrap-multilines', 'max-statements-per-line', 'multiline-ternary',
    'operator-linebreak', 'quote-props',
  ].map((name) => [`@stylistic/${name}`, 'off'])),
}

export default tseslint.config(
  { ignores: [
    'node_modules', 'dist', 'build*', '.cache', '.tap', '.setup', 'coverage',
    '**/*.d.ts', '**/*.d.cts', 'test/package/fixtures',
  ] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.{ts,tsx,js,mjs}', ...SCRIPTS],
    plugins: { '@stylistic': stylistic },
    rules: style,
  },
  {
    files: ['lib/**/*.{ts,tsx}', 'test/**/*.ts'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: {
        project: ['tsconfig.json', 'lib/dashboard/tsconfig.json'], tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      ...Object.assign({}, ...tseslint.configs.recommendedTypeChecked.map((c) => c.rules ?? {})),
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-floating-promises': ['error', {
        allowForKnownSafePromises: [{ from: 'package', package: '@tapjs/core', name: 'PromiseWithSubtest' }],
      }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: Object.fromEntries([
      'await-thenable', 'no-misused-promises', 'no-unnecessary-type-assertion', 'no-unsafe-argument',
      'no-unsafe-assignment', 'no-unsafe-member-access', 'no-unsafe-return',
    ].map((name) => [`@typescript-eslint/${name}`, 'off'])),
  },
  // A choice between elements is written as a chain, which the rule would make a staircase.
  { files: ['**/*.tsx'], rules: { '@stylistic/indent': 'off' } },
)
