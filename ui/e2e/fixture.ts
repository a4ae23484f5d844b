import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { expect, type Page, test as base } from '@playwright/test';

import { Server } from './server';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The server of the file of journeys that a worker is at. */
class FileServer {
  private file = '';
  private server: Server | null = null;

  async of(file: string): Promise<Server> {
    if (!this.server || this.file !== file) {
      await this.end();
      this.server = await Server.start();
      this.file = file;
    }
    return this.server;
  }

  async end(): Promise<void> {
    await this.server?.end();
    this.server = null;
  }
}

/**
 * A server for each file of journeys, and pages that complain about errors nobody looked for. One
 * worker runs several files, and which ones is a matter of time: a server that they shared would
 * show a file what another one sold.
 */
export const test = base.extend<{ ui: Page; server: Server }, { fileServer: FileServer }>({
  fileServer: [
    async ({}, use) => {
      const fileServer = new FileServer();
      await use(fileServer);
      await fileServer.end();
    },
    { scope: 'worker' },
  ],
  server: async ({ fileServer }, use, { file }) => {
    await use(await fileServer.of(file));
  },
  ui: async ({ page }, use) => {
    const faults = listen(page);
    await use(page);
    expect(faults).toEqual([]);
  },
});

export { expect };

/** What goes wrong on a page beside what a test looks for: errors of scripts and of the policy. */
export function listen(page: Page): string[] {
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    // The browser itself tells of every answer from 400 up and of every lost connection.
    if (/Failed to load resource|WebSocket connection|ERR_/.test(message.text())) return;
    faults.push(message.text());
  });
  return faults;
}

/** Waits until the page follows the server. */
export async function live(page: Page): Promise<void> {
  await expect(page.locator('.side .connection.live')).toBeVisible();
}

interface Violation {
  id: string;
  help: string;
  nodes: { html: string; target: string[]; failureSummary: string }[];
}

/** What axe finds against WCAG 2.2 AA and its best practices, in few words. */
export async function violations(page: Page): Promise<string[]> {
  // The protocol's own evaluation: the policy of the page allows no script of ours.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run: (options: object) => Promise<{ violations: Violation[] }> };
    };
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    return (await axe.run({ runOnly: tags })).violations;
  });
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 160)} ${node.failureSummary}`),
  );
}
