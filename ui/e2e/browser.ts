import type { PlaywrightTestConfig } from '@playwright/test';

/** Longer than any journey may take, also beside other work on the same machine. */
export const TEST_PATIENCE_MS = 60_000;

/** The Chromium of the machine; none is downloaded. */
export const browser: PlaywrightTestConfig['use'] = {
  browserName: 'chromium',
  headless: true,
  locale: 'en-GB',
  timezoneId: 'Europe/Berlin',
  actionTimeout: 15_000,
  trace: 'retain-on-failure',
  launchOptions: {
    executablePath: process.env['MILLRACE_CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  },
};
