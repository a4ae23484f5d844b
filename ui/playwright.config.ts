import { defineConfig } from '@playwright/test';

import { browser, TEST_PATIENCE_MS } from './e2e/browser';

/** Journeys through the real product: each file starts a server of its own. */
export default defineConfig({
  testDir: './e2e',
  testIgnore: ['shots.spec.ts', 'distributed.spec.ts'],
  outputDir: './node_modules/.cache/e2e',
  timeout: TEST_PATIENCE_MS,
  // Two browsers beside two servers are what two cores carry.
  workers: 2,
  fullyParallel: false,
  forbidOnly: true,
  reporter: [['list']],
  use: browser,
});
