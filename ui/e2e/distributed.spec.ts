import { join } from 'node:path';

import { type Page, test } from '@playwright/test';

import { expect, listen, live, violations } from './fixture';

const url = process.env['MILLRACE_URL'] ?? 'http://127.0.0.1:8090';
const SERVICES = ['Edge', 'Catalog', 'Customer', 'Inventory', 'Order', 'Payment', 'Notification'];

/** Marks a page, so that a reload would be seen. */
async function mark(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => Object.assign(globalThis, { mark: 'here' }));
  return async () => {
    const kept = await page.evaluate(() => (globalThis as { mark?: string }).mark);
    expect(kept, 'the page was loaded anew').toBe('here');
  };
}

test('an order is placed, confirmed and followed in three windows over seven processes', async ({
  browser,
}) => {
  const windows = await Promise.all([1, 2, 3].map(() => browser.newContext()));
  const pages = await Promise.all(windows.map((window) => window.newPage()));
  const [form, stock, orders] = pages as [Page, Page, Page];
  const faults = pages.map(listen);

  const streams: string[] = [];
  stock.on('request', (request) => {
    if (request.resourceType() === 'eventsource') streams.push(request.url());
  });
  await stock.goto(`${url}/ui/stock/item1`);
  await live(stock);
  const available = stock.locator('[data-tile="available"] .value');
  const before = Number((await available.innerText()).replace(/\D/g, ''));
  expect(before).toBeGreaterThan(2);

  const frames: string[] = [];
  orders.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) => frames.push(payload.toString()));
  });
  await orders.goto(`${url}/ui/orders`);
  await live(orders);

  await form.goto(`${url}/ui/orders/new`);
  await live(form);
  const kept = await Promise.all(pages.map(mark));
  await form.getByLabel('Who orders').fill('ada');
  await form.getByRole('option', { name: /Ada Brandt/ }).click();
  await form.getByLabel('Add a product').fill('item1');
  await form.getByRole('option', { name: /item1$/ }).click();
  await form.getByLabel('Quantity of Workstation laptop').fill('2');
  await form.getByRole('button', { name: 'Place order' }).click();
  await expect(form.locator('.summary-card .badge')).toHaveText('Confirmed');
  const link = form.getByRole('link', { name: 'Open the order' });
  const id = /[0-9a-f-]{36}/.exec((await link.getAttribute('href')) ?? '')?.[0] ?? 'no id';

  // By server-sent events: the units are gone from another window.
  await expect(available).toHaveText(new Intl.NumberFormat('en-GB').format(before - 2));
  expect(streams.filter((stream) => stream.includes('/api/v1/stock/stream'))).not.toEqual([]);
  // By STOMP: the order is in the list of a third.
  const row = orders.locator('.order-row', { has: orders.locator(`a[href$="${id}"]`) });
  await expect(row.locator('.badge')).toHaveText('Confirmed');
  const told = (status: string) => (frame: string) =>
    frame.startsWith('MESSAGE') && frame.includes(id) && frame.includes(`"status":"${status}"`);
  await expect.poll(() => frames.some(told('confirmed'))).toBe(true);

  for (const check of kept) await check();
  expect(faults).toEqual([[], [], []]);
  await Promise.all(windows.map((window) => window.close()));
});

test('the health of every process is shown, and each audits its own', async ({ page, browser }) => {
  const faults = listen(page);
  // Somebody who follows, to be counted.
  const other = await browser.newPage();
  await other.goto(`${url}/ui/orders`);
  await live(other);

  await page.goto(`${url}/ui/health`);
  await live(page);
  await expect(page.locator('.page-head p')).toHaveText(/Millrace \d+\.\d+\.\d+, 7 processes/);
  for (const name of SERVICES) {
    await expect(page.getByRole('row', { name: new RegExp(`^Works: ${name}`) })).toBeVisible();
    const process = page.getByRole('row', { name: new RegExp(`^${name} Ready \\d+\\.\\d+`) });
    await expect(process).toContainText('MiB');
  }
  // The order that the other journey placed was heard by all who have to do with it.
  for (const name of ['Customer', 'Inventory', 'Order', 'Payment', 'Notification']) {
    const heard = page
      .getByRole('row', { name: new RegExp(`^Works: ${name}`) })
      .locator('td')
      .nth(1);
    await expect(heard).toHaveText(/^[1-9]/);
  }
  await expect(page.locator('#live ~ .badge, #live + .badge')).toHaveText('Live');
  await expect(page.locator('dt:has-text("STOMP") + dd')).toHaveText(/^[1-9]/);

  await page.getByRole('button', { name: 'Run the audit' }).click();
  await expect(page.locator('#audit + .badge')).toContainText('0 violations in');
  await expect(page.getByText('millrace audit --config FILE')).toBeVisible();
  expect(await violations(page)).toEqual([]);
  // Nothing stands out on a phone.
  await page.setViewportSize({ width: 360, height: 740 });
  const isTooWide = () =>
    document.documentElement.scrollWidth > document.documentElement.clientWidth;
  expect(await page.evaluate(isTooWide)).toBe(false);
  const shots = process.env['MILLRACE_SHOTS'];
  for (const [size, width] of shots
    ? ([
        ['wide', 1360],
        ['narrow', 360],
      ] as const)
    : []) {
    await page.setViewportSize({ width, height: 900 });
    await page.screenshot({ path: join(shots ?? '', `health-7-${size}.png`), fullPage: true });
  }
  expect(faults).toEqual([]);
  await other.close();
});
