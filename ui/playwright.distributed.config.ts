import { defineConfig } from '@playwright/test';

import { browser, TEST_PATIENCE_MS } from './e2e/browser';

/** Journeys through a product that runs already, with a process per service: at `MILLRACE_URL`. */
export default defineConfig({
  testDir: './e2e',
  testMatch: 'distributed.spec.ts',
  outputDir: './node_modules/.cache/e2e-distributed',
  timeout: TEST_PATIENCE_MS,
  workers: 1,
  // The first order waits until every service has been given its partitions.
  expect: { timeout: 30_000 },
  forbidOnly: true,
  reporter: [['list']],
  use: browser,
});
