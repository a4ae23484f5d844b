import { defineConfig } from '@playwright/test';

import { browser } from './e2e/browser';

/** Pictures of every page, for a person to look at: `npm run shots`. */
export default defineConfig({
  testDir: './e2e',
  testMatch: 'shots.spec.ts',
  outputDir: './node_modules/.cache/shots',
  timeout: 300_000,
  workers: 1,
  reporter: [['list']],
  use: browser,
});
