import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Browser, type Page, test } from '@playwright/test';

import { Server } from './server';

/** Where the pictures go: outside the repository. */
const FOLDER = process.env['MILLRACE_SHOTS'] ?? join(tmpdir(), 'millrace-shots');
const SIZES = { wide: { width: 1360, height: 900 }, narrow: { width: 360, height: 740 } };
const THEMES = ['light', 'dark'] as const;

interface Place {
  name: string;
  path: string;
  /** What to do before the picture is taken. */
  then?: (page: Page) => Promise<void>;
}

async function fill(server: Server): Promise<Place[]> {
  const customer = (n: number): string => `OMS-Cust-00${n}`;
  const lines = (sku: string, quantity = 1) => [{ sku, quantity }];
  const { orderId } = await server.place({
    customerId: customer(1),
    lines: [...lines('item1', 2), ...lines('item13')],
  });
  for (let n = 0; n < 24; n += 1) {
    await server.place({
      customerId: customer((n % 7) + 1),
      lines: [...lines(`item${(n % 12) + 1}`, (n % 3) + 1), ...lines('item5')].slice(
        0,
        1 + (n % 2),
      ),
      payment: { method: 'simulated', token: n % 6 === 5 ? 'decline' : 'approve' },
    });
  }
  await server.place({ customerId: customer(9), lines: lines('item1') });
  const asked = await server.place({
    customerId: customer(2),
    lines: [...lines('item15', 12), ...lines('item5')],
    policy: 'ask',
  });
  const held = await server.place({ customerId: customer(4), lines: lines('item6') });
  await server.call('POST', `/api/v1/orders/${held.orderId}/hold`, { reason: 'address unclear' });
  const sent = await server.place({ customerId: customer(3), lines: lines('item7', 2) });
  const by = { carrier: 'DHL', tracking: 'JD014600003RU' };
  await server.call('POST', `/api/v1/orders/${sent.orderId}/shipments`, by);
  const ended = await server.place({ customerId: customer(5), lines: lines('item10') });
  await server.call('POST', `/api/v1/orders/${ended.orderId}/cancel`, { reason: 'too late' });
  const open = (name: string) => (page: Page) => page.getByRole('button', { name }).first().click();
  return [
    { name: 'dashboard', path: '' },
    { name: 'orders', path: 'orders' },
    { name: 'orders-filtered', path: 'orders?status=confirmed&customer=OMS-Cust-002' },
    { name: 'orders-empty', path: 'orders?q=nothing-at-all' },
    { name: 'order', path: `orders/${orderId}` },
    { name: 'order-completed', path: `orders/${sent.orderId}` },
    { name: 'order-cancelled', path: `orders/${ended.orderId}` },
    { name: 'order-asked', path: `orders/${asked.orderId}`, then: open('Decide') },
    { name: 'order-cancel', path: `orders/${orderId}`, then: open('Cancel order') },
    { name: 'order-missing', path: 'orders/01a21a1d-987b-723e-84fa-23000000ffff' },
    {
      name: 'new-order',
      path: 'orders/new',
      then: async (page) => {
        await page.getByLabel('Who orders').fill('ada');
        await page.getByRole('option').first().click();
        for (const sku of ['item1', 'item15']) {
          await page.getByLabel(/Add a/).fill(sku);
          await page.getByRole('option', { name: new RegExp(`${sku}$`) }).click();
        }
        await page.getByLabel('Quantity of Travel adapter').fill('9');
      },
    },
    {
      name: 'new-order-errors',
      path: 'orders/new',
      then: (page) => page.getByRole('button', { name: 'Place order' }).click(),
    },
    { name: 'stock', path: 'stock' },
    { name: 'stock-item', path: 'stock/item15' },
    { name: 'stock-set', path: 'stock/item1', then: open('Set') },
    { name: 'products', path: 'products' },
    { name: 'product-new', path: 'products', then: open('New product') },
    { name: 'customers', path: 'customers' },
    { name: 'customer-edit', path: 'customers', then: open('Edit Ada Brandt') },
    { name: 'notifications', path: 'notifications' },
    { name: 'templates', path: 'notifications?view=templates' },
    { name: 'health', path: 'health', then: open('Run the audit') },
    { name: 'nowhere', path: 'no/such/page' },
  ];
}

async function shoot(browser: Browser, server: Server, places: Place[], mark = ''): Promise<void> {
  const only = process.env['MILLRACE_SHOTS_ONLY'];
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const theme of THEMES) {
      const page = await browser.newPage({ viewport, colorScheme: theme });
      for (const { name, path, then } of places) {
        if (only && !new RegExp(only).test(name)) continue;
        await page.goto(`${server.url}/ui/${path}`);
        await page.locator('h1').first().waitFor();
        await page.waitForLoadState('load');
        await then?.(page);
        // What is on its way shall have come; streams never end, so the net is never idle.
        await page.waitForTimeout(600);
        const file = `${name}${mark}-${size}-${theme}.png`;
        await page.screenshot({
          path: join(FOLDER, file),
          fullPage: size === 'narrow' || !/^orders/.test(name),
        });
      }
      await page.close();
    }
  }
}

test('pictures of every page', async ({ browser }) => {
  mkdirSync(FOLDER, { recursive: true });
  const server = await Server.start();
  const places = await fill(server);
  await shoot(browser, server, places);
  // Everything once more with the server away, read before it went.
  const page = await browser.newPage({ viewport: SIZES.wide, colorScheme: 'light' });
  await page.goto(`${server.url}/ui/orders`);
  await page.getByText('#1').first().waitFor();
  await server.stop();
  await page.locator('.lost-bar').waitFor();
  await page.screenshot({ path: join(FOLDER, 'offline-orders-wide-light.png') });
  await page.getByRole('link', { name: 'Products' }).click();
  await page.locator('.trouble, .lost-bar').first().waitFor();
  await page.screenshot({ path: join(FOLDER, 'offline-products-wide-light.png') });
  await server.end();
  const empty = await Server.startEmpty();
  const pages = ['', 'orders', 'stock', 'products', 'customers', 'notifications', 'health'];
  const bare = pages.map((path) => ({ name: path || 'dashboard', path }));
  await shoot(browser, empty, bare, '-bare');
  await empty.end();
  console.log(`pictures are in ${FOLDER}`);
});
