// Typed lint. It looks for what a person overlooks and the compiler allows: forgotten promises, values of any type,
// switches that miss a case. Layout and names are not its business.
import tseslint from 'typescript-eslint';

const TYPED = {
  '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],
  // A middleware of Express may be async: Express 5 takes the promise. Everywhere else a promise is awaited or voided.
  '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
  '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false }],
  '@typescript-eslint/no-explicit-any': 'error',
  '@typescript-eslint/no-unsafe-argument': 'error',
  '@typescript-eslint/no-unsafe-assignment': 'error',
  '@typescript-eslint/no-unsafe-call': 'error',
  '@typescript-eslint/no-unsafe-member-access': 'error',
  '@typescript-eslint/no-unsafe-return': 'error',
  // A name with a leading underscore says that a value is left out on purpose.
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true, caughtErrors: 'all' }],
  // Async functions without await fill interfaces that promise a promise: a check, a migration source, a drain.
  '@typescript-eslint/require-await': 'off',
  // What was thrown is passed on as it is: the caller's type says unknown.
  '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
  '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true, allowThrowingAny: false }],
  // Parts are closures over what they need and have no `this`: their functions may be passed on by name.
  '@typescript-eslint/unbound-method': 'off',
  // Numbers print as people expect; anything else in a template is a mistake.
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
};

const PLAIN = {
  'eqeqeq': ['error', 'always', { null: 'ignore' }],
  'no-var': 'error',
  'prefer-const': 'error',
  'no-eval': 'error',
  'no-implied-eval': 'error',
  'no-new-func': 'error',
  'no-param-reassign': 'error',
  'no-self-compare': 'error',
  'no-unreachable-loop': 'error',
  'no-unused-private-class-members': 'error',
  // Texts and URLs are searched for control characters on purpose.
  'no-control-regex': 'off',
  'no-promise-executor-return': 'off',
};

const noOtherEnvironmentReader = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: 'Only the environment reader of config reads process.env: add the variable to VARIABLES and take it from Config.',
};

export default tseslint.config(
  { ignores: ['dist/', 'data/', 'node_modules/', 'coverage/', 'hapi-config/', 'bench/results/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: { ...PLAIN, ...TYPED },
  },
  { files: ['**/*.mjs'], rules: PLAIN },
  {
    files: ['src/**/*.ts', 'migrations/**/*.ts'],
    rules: {
      // The server writes through its logger, the commands through process.stdout: both are chosen, console is not.
      'no-console': 'error',
      'no-restricted-syntax': ['error', noOtherEnvironmentReader],
    },
  },
  { files: ['src/config/env.ts'], rules: { 'no-restricted-syntax': 'off' } },
  {
    files: ['test/**/*.ts'],
    rules: {
      // Tests look into answers of any shape: a wrong look fails the test, which is what it is for.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
    },
  },
);
