import { expect, listen, live, test } from './fixture';

const LAPTOP = [{ sku: 'item1', quantity: 1 }];

test('an order placed in the form is confirmed on the same page, and shown with its path', async ({
  ui,
  server,
}) => {
  await ui.goto(`${server.url}/ui/orders/new`);
  await live(ui);
  await ui.getByLabel('Who orders').fill('ada');
  await ui.getByRole('option', { name: /Ada Brandt/ }).click();
  await ui.getByLabel('Add a product').fill('item1');
  await ui.getByRole('option', { name: /item1$/ }).click();
  await expect(ui.locator('.availability')).toContainText('available');
  await ui.getByLabel('Quantity of Workstation laptop').fill('2');
  await expect(ui.locator('.summary-card .big-amount')).toHaveText(/3,999\.98/);
  await ui.getByRole('button', { name: 'Place order' }).click();
  await expect(ui.locator('.summary-card .badge')).toHaveText('Confirmed');
  await ui.getByRole('link', { name: 'Open the order' }).click();

  await expect(ui.getByRole('heading', { level: 1 })).toHaveText(/Order #\d+/);
  const path = ui.getByRole('img', { name: /The path taken/ });
  await expect(path).toHaveAttribute(
    'aria-label',
    /Placed, then Reserved, then Paying, then Confirmed/,
  );
  await expect(ui.locator('.timeline li')).toHaveCount(9);
  await expect(ui.locator('.attempt', { hasText: 'Capture' })).toContainText('Succeeded');
  await expect(ui.getByRole('table').first()).toContainText('2 allocated');
});

test('an order is dispatched, another is held, resumed and cancelled with a reason', async ({
  ui,
  server,
}) => {
  const first = await server.place({ customerId: 'OMS-Cust-001', lines: LAPTOP });
  await ui.goto(`${server.url}/ui/orders/${first.orderId}`);
  await ui.getByRole('button', { name: 'Dispatch' }).click();
  await ui.getByLabel('Carrier').fill('DHL');
  await ui.getByRole('dialog').getByRole('button', { name: 'Dispatch' }).click();
  await expect(ui.locator('.page-head .badge')).toHaveText('Completed');
  await expect(ui.locator('.attempt', { hasText: 'DHL' })).toBeVisible();

  const second = await server.place({ customerId: 'OMS-Cust-001', lines: LAPTOP });
  await ui.goto(`${server.url}/ui/orders/${second.orderId}`);
  await ui.getByRole('button', { name: 'Hold', exact: true }).click();
  await ui.getByLabel('Reason').fill('address unclear');
  await ui.getByRole('button', { name: 'Put on hold' }).click();
  await expect(ui.locator('.page-head .badge')).toHaveText('On hold');
  await ui.getByRole('button', { name: 'Resume' }).click();
  await ui.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await expect(ui.locator('.page-head .badge')).toHaveText('Confirmed');

  await ui.getByRole('button', { name: 'Cancel order' }).click();
  const box = ui.getByRole('dialog');
  await box.getByRole('button', { name: 'Cancel the order' }).click();
  await expect(box.locator('.error-text')).toBeVisible();
  await box.getByLabel('Reason').fill('no longer wanted');
  await box.getByRole('button', { name: 'Cancel the order' }).click();
  await expect(ui.locator('.page-head .badge')).toHaveText('Cancelled');
  await expect(ui.locator('.note')).toContainText('no longer wanted');
});

test('a shortage is decided by accepting what there is', async ({ ui, server }) => {
  const lines = [{ sku: 'item15', quantity: 50 }];
  const order = await server.place({ customerId: 'OMS-Cust-002', lines, policy: 'ask' });
  await ui.goto(`${server.url}/ui/orders/${order.orderId}`);
  await expect(ui.locator('.page-head .badge')).toHaveText('Awaiting decision');
  await ui.getByRole('button', { name: 'Decide' }).click();
  await ui.getByRole('dialog').getByRole('button', { name: 'Decide' }).click();
  await expect(ui.locator('.page-head .badge')).toHaveText('Confirmed');
});

test('filters narrow the list, live in the address, and survive a reload', async ({
  ui,
  server,
}) => {
  const token = (name: string) => ({ method: 'simulated', token: name });
  const order = { customerId: 'OMS-Cust-004', lines: LAPTOP };
  await server.place({ ...order, payment: token('approve') });
  await server.place({ ...order, payment: token('decline') });
  await ui.goto(`${server.url}/ui/orders`);
  await ui.getByRole('button', { name: /^Cancelled/ }).click();
  await expect(ui).toHaveURL(/status=cancelled/);
  await ui.getByRole('button', { name: 'Filters' }).click();
  await ui.getByLabel('Customer', { exact: true }).fill('OMS-Cust-004');
  await ui.getByLabel('Customer', { exact: true }).press('Enter');
  await expect(ui).toHaveURL(/customer=OMS-Cust-004/);
  await expect(ui.locator('.order-row')).toHaveCount(1);
  await ui.reload();
  await expect(ui.locator('.order-row')).toHaveCount(1);
  await expect(ui.locator('.order-row .badge')).toHaveText('Cancelled');
  await ui.getByRole('searchbox').fill('nothing-at-all');
  await ui.getByRole('searchbox').press('Enter');
  await expect(ui.getByText('No order fits these filters')).toBeVisible();
  await ui.getByRole('button', { name: 'Clear filters' }).click();
  await expect(ui.locator('.order-row').first()).toBeVisible();
});

test('a long list makes only the rows that are seen, and more as one scrolls', async ({
  ui,
  server,
}) => {
  const line = JSON.stringify({ customerId: 'OMS-Cust-003', lines: LAPTOP });
  const response = await fetch(`${server.url}/api/v1/orders:batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: `${line}\n`.repeat(180),
  });
  await response.text();
  await ui.goto(`${server.url}/ui/orders?customer=OMS-Cust-003`);
  await expect(ui.locator('.order-row').first()).toBeVisible();
  expect(await ui.locator('.order-row').count()).toBeLessThan(45);
  await ui.locator('.order-row a').first().focus();
  // As far as there are rows; the next page of them comes before the end is reached.
  await expect(async () => {
    await ui.keyboard.press('PageDown');
    await expect(ui.locator('.orders-foot')).toContainText('180 shown', { timeout: 100 });
  }).toPass({ intervals: [50] });
  await expect(ui.locator('.order-row a:focus')).toHaveCount(1);
  expect(await ui.locator('.order-row').count()).toBeLessThan(45);
});

test('an order is placed with the keyboard alone', async ({ ui, server }) => {
  await ui.goto(`${server.url}/ui/`);
  await live(ui);
  const press = async (...keys: string[]): Promise<void> => {
    for (const key of keys) await ui.keyboard.press(key);
  };
  await press('Tab');
  await expect(ui.getByText('Skip to content')).toBeFocused();
  await press('Tab', 'Tab', 'Enter');
  await expect(ui.getByRole('heading', { name: 'New order' })).toBeFocused();
  await press('Tab');
  await expect(ui.getByLabel('Who orders')).toBeFocused();
  await ui.keyboard.type('bruno');
  await expect(ui.getByRole('option', { name: /Bruno/ })).toHaveAttribute('aria-selected', 'true');
  await press('Enter');
  await expect(ui.getByText('OMS-Cust-002 · bruno@example.com')).toBeVisible();
  // The field is gone with the choice: the next stop is the button that took its place.
  await ui.getByRole('button', { name: 'Change' }).focus();
  await press('Tab');
  await expect(ui.getByLabel('Add a product')).toBeFocused();
  await ui.keyboard.type('keyboard');
  await expect(ui.getByRole('option', { name: /Mechanical keyboard/ })).toBeVisible();
  await press('Enter');
  await expect(ui.getByLabel('Quantity of Mechanical keyboard')).toBeVisible();
  await press('Enter');
  await expect(ui.locator('.summary-card .badge')).toHaveText('Confirmed');
});

test('a form that lacks something says what, beside the field', async ({ ui, server }) => {
  await ui.goto(`${server.url}/ui/orders/new`);
  await ui.getByRole('button', { name: 'Place order' }).click();
  await expect(ui.getByLabel('Who orders')).toHaveAttribute('aria-invalid', 'true');
  await expect(ui.getByText('An order needs at least one line.')).toBeVisible();
});

test('an order that comes while one looks appears in the list by itself', async ({
  browser,
  server,
}) => {
  const [one, other] = [await browser.newPage(), await browser.newPage()];
  const faults = [listen(one), listen(other)];
  await one.goto(`${server.url}/ui/orders?customer=OMS-Cust-006`);
  await other.goto(`${server.url}/ui/stock/item11`);
  await live(one);
  await live(other);
  await expect(one.getByText('No order fits')).toBeVisible();
  await expect(other.locator('[data-tile="available"] .value')).toHaveText('60');
  const lines = [{ sku: 'item11', quantity: 3 }];
  const order = await server.place({ customerId: 'OMS-Cust-006', lines });
  await expect(one.locator('.order-row .badge')).toHaveText('Confirmed');
  await expect(other.locator('[data-tile="available"] .value')).toHaveText('57');
  await expect(other.locator('[data-tile="available"] .flash')).toHaveCount(1);
  // In place: the same row goes to its next state.
  await server.call('POST', `/api/v1/orders/${order.orderId}/cancel`, { reason: 'a test' });
  await expect(one.locator('.order-row .badge')).toHaveText('Cancelled');
  await expect(one.locator('.order-row')).toHaveCount(1);
  await expect(other.locator('[data-tile="available"] .value')).toHaveText('60');
  expect(faults).toEqual([[], []]);
  await one.close();
  await other.close();
});
