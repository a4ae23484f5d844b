import { expect, listen, test } from './fixture';
import { Server } from './server';

const LAMP = [{ sku: 'item9', quantity: 1 }];

test('when the server goes away this is said, and both windows recover with nothing missed', async ({
  browser,
}) => {
  const server = await Server.start();
  const [orders, stock] = [await browser.newPage(), await browser.newPage()];
  const faults = [listen(orders), listen(stock)];
  await server.place({ customerId: 'OMS-Cust-001', lines: LAMP });
  await orders.goto(`${server.url}/ui/orders`);
  await stock.goto(`${server.url}/ui/stock/item9`);
  const available = stock.locator('[data-tile="available"] .value');
  await expect(available).toHaveText('119');
  for (const page of [orders, stock]) {
    await expect(page.locator('.side .connection.live')).toBeVisible();
  }

  await server.stop();
  for (const page of [orders, stock]) {
    await expect(page.locator('.lost-bar')).toContainText(/Reconnecting/);
    await expect(page.locator('.side .connection.lost')).toBeVisible();
  }
  // What was read stays, and a page that cannot be read says so.
  await expect(orders.locator('.order-row')).toHaveCount(1);
  await expect(available).toHaveText('119');

  await server.restart();
  // Between the restart and the moment the windows are back, something happens.
  await server.place({ customerId: 'OMS-Cust-001', lines: LAMP });
  for (const page of [orders, stock]) {
    await expect(page.locator('.side .connection.live')).toBeVisible({ timeout: 30_000 });
    await expect(page.locator('.lost-bar')).toBeHidden();
  }
  await expect(orders.locator('.order-row')).toHaveCount(2);
  await expect(available).toHaveText('118');
  // And they are live again, not only read once.
  await server.place({ customerId: 'OMS-Cust-001', lines: LAMP });
  await expect(orders.locator('.order-row')).toHaveCount(3);
  await expect(available).toHaveText('117');
  expect(faults).toEqual([[], []]);
  await orders.close();
  await stock.close();
  await server.end();
});

test('an order sent while the server is away is placed once, when it is back', async ({
  browser,
}) => {
  const server = await Server.start();
  const page = await browser.newPage();
  await page.goto(`${server.url}/ui/orders/new`);
  await page.getByLabel('Who orders').fill('ada');
  await page.getByRole('option', { name: /Ada Brandt/ }).click();
  await page.getByLabel('Add a product').fill('item9');
  await page.getByRole('option', { name: /item9$/ }).click();
  await expect(page.locator('.availability')).toContainText('available');
  await server.stop();
  await page.getByRole('button', { name: 'Place order' }).click();
  await expect(page.locator('.trouble')).toContainText('The server cannot be reached');
  await server.restart();
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.locator('.summary-card .badge')).toHaveText('Confirmed', { timeout: 30_000 });
  const { items } = await server.call<{ items: unknown[] }>('GET', '/api/v1/orders');
  expect(items).toHaveLength(1);
  await page.close();
  await server.end();
});

test('where WebSockets are blocked, orders come by SockJS', async ({ browser }) => {
  const server = await Server.start();
  const page = await browser.newPage();
  // A proxy that lets no upgrade through.
  await page.addInitScript(() => {
    class Blocked extends EventTarget {
      constructor() {
        super();
        setTimeout(() => {
          const event = new CloseEvent('close', { code: 1006 });
          (this as unknown as { onclose?: (event: Event) => void }).onclose?.(event);
          this.dispatchEvent(event);
        });
      }
      close(): void {}
      send(): void {}
    }
    Object.defineProperty(window, 'WebSocket', { value: Blocked });
  });
  await page.goto(`${server.url}/ui/orders`);
  await expect(page.locator('.side .connection.live')).toBeVisible({ timeout: 30_000 });
  await server.place({ customerId: 'OMS-Cust-001', lines: LAMP });
  await expect(page.locator('.order-row .badge')).toHaveText('Confirmed');
  await page.close();
  await server.end();
});
