import { expect, listen, live, test } from './fixture';

test('the dashboard counts and draws what happens', async ({ ui, server }) => {
  await ui.goto(`${server.url}/ui/`);
  await live(ui);
  await expect(ui.locator('.newest, .empty').first()).toBeVisible();
  const confirmed = ui.locator('.states a', { hasText: 'Confirmed' });
  // Other journeys may have used this server before.
  const count = async () => Number((await confirmed.locator('.numeric').textContent()) ?? '');
  await expect(ui.locator('.tile .value').last()).not.toHaveText('–');
  const before = await count();
  await server.place({ customerId: 'OMS-Cust-001', lines: [{ sku: 'item1', quantity: 1 }] });
  await expect.poll(count).toBe(before + 1);
  await expect(ui.locator('.newest li').first()).toContainText('Confirmed');
  await expect(ui.locator('.uplot canvas')).toBeVisible();
  await expect(ui.locator('.alerts li', { hasText: 'item16' })).toContainText('Out');
  await ui
    .getByRole('link', { name: /Confirmed/ })
    .first()
    .click();
  await expect(ui).toHaveURL(/orders\?status=confirmed/);
});

test('a product is made, refused where it is wrong, and found', async ({ ui, server }) => {
  await ui.goto(`${server.url}/ui/products`);
  await ui.getByRole('button', { name: 'New product' }).click();
  const box = ui.getByRole('dialog');
  await expect(box.getByLabel('SKU')).toBeFocused();
  await box.getByLabel('SKU').fill('pen-7');
  await box.getByLabel('Name').fill('Pencil');
  await box.getByLabel('Price').fill('a lot');
  await box.getByRole('button', { name: 'Save' }).click();
  await expect(box.getByLabel('Price')).toHaveAttribute('aria-invalid', 'true');
  await expect(box.locator('.error-text')).toContainText('not a decimal amount');
  await box.getByLabel('Price').fill('1.20');
  await box.getByRole('button', { name: 'Save' }).click();
  await expect(box).toBeHidden();
  await ui.getByRole('searchbox').fill('pencil');
  await expect(ui.locator('tbody tr')).toHaveCount(1);
  await expect(ui.locator('tbody tr')).toContainText('$1.20');
});

test('two who edit one product are told apart, and both changes are kept', async ({
  browser,
  server,
}) => {
  const [one, other] = [await browser.newPage(), await browser.newPage()];
  const faults = [listen(one), listen(other)];
  for (const page of [one, other]) {
    await page.goto(`${server.url}/ui/products`);
    await page.getByRole('button', { name: 'Edit Desk lamp' }).click();
    await expect(page.getByLabel('Name', { exact: true })).toHaveValue('Desk lamp');
  }
  await other.getByLabel('Name', { exact: true }).fill('Desk lamp, warm');
  await other.getByLabel('Price').fill('59.00');
  await other.getByRole('button', { name: 'Save' }).click();
  await expect(other.getByRole('dialog')).toBeHidden();

  await one.getByLabel('Description').fill('Folds flat.');
  await one.getByLabel('Price').fill('49.00');
  await one.getByRole('button', { name: 'Save' }).click();
  await expect(one.locator('.conflict')).toContainText('Somebody has changed this');
  // Both changed the price; the name is only theirs, the description only ours.
  await expect(one.locator('.conflict fieldset')).toHaveCount(1);
  await one.locator('.conflict').getByText('Theirs').click();
  await one.getByRole('button', { name: 'Save' }).click();
  await expect(one.getByRole('dialog')).toBeHidden();
  const lamp = await server.call<Record<string, unknown>>('GET', '/api/v1/products/item9');
  expect(lamp).toMatchObject({
    name: 'Desk lamp, warm',
    description: 'Folds flat.',
    price: { amount: '59.00' },
  });
  expect(faults).toEqual([[], []]);
  await one.close();
  await other.close();
});

test('a customer is blocked with a reason, cannot order, and is unblocked', async ({
  ui,
  server,
}) => {
  await ui.goto(`${server.url}/ui/customers`);
  await ui.getByRole('button', { name: 'Block Jonas Weber' }).click();
  await ui.getByLabel('Reason').fill('invoices unpaid');
  await ui.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
  const row = ui.locator('tr', { hasText: 'Jonas Weber' });
  await expect(row.locator('.badge:visible')).toHaveText('Blocked');
  const order = { customerId: 'OMS-Cust-010', lines: [{ sku: 'item5', quantity: 1 }] };
  expect((await server.place(order)).status).toBe('rejected');
  await ui.getByRole('button', { name: 'Unblock Jonas Weber' }).click();
  await expect(ui.getByRole('dialog')).toContainText('invoices unpaid');
  await ui.getByRole('dialog').getByRole('button', { name: 'Unblock' }).click();
  await expect(row.locator('.badge:visible')).toHaveText('Active');
});

test('a customer is made, and a bad address is refused at its field', async ({ ui, server }) => {
  await ui.goto(`${server.url}/ui/customers`);
  await ui.getByRole('button', { name: 'New customer' }).click();
  const box = ui.getByRole('dialog');
  await box.getByLabel('Id').fill('C-77');
  await box.getByLabel('Name').fill('Kim Vale');
  await box.getByLabel('E-mail').fill('not an address');
  await box.getByRole('button', { name: 'Save' }).click();
  await expect(box.getByLabel('E-mail')).toHaveAttribute('aria-invalid', 'true');
  await box.getByLabel('E-mail').fill('kim@example.com');
  await box.getByLabel('Credit limit').fill('500');
  await box.getByRole('button', { name: 'Save' }).click();
  await expect(ui.locator('tr', { hasText: 'Kim Vale' })).toContainText('$500.00');
});

test('the log shows what was sent, and templates are tried without sending', async ({
  ui,
  server,
}) => {
  await server.place({ customerId: 'OMS-Cust-001', lines: [{ sku: 'item2', quantity: 1 }] });
  await ui.goto(`${server.url}/ui/notifications`);
  await ui
    .getByRole('button', { name: /is confirmed/ })
    .first()
    .click();
  await expect(ui.getByRole('dialog')).toContainText('thank you for your order');
  await ui.keyboard.press('Escape');
  await expect(ui.getByRole('dialog')).toBeHidden();
  await ui.getByRole('button', { name: 'Templates' }).click();
  await ui.getByLabel('Subject').fill('Number {{ order.number }}!');
  await expect(ui.locator('.message strong')).toHaveText(/^Number \d+!$/);
  await ui.getByLabel('Subject').fill('{{ broken');
  await expect(ui.locator('.trouble')).toBeVisible();
});

test('the health of every service is shown, and the audit finds nothing', async ({
  ui,
  server,
}) => {
  await ui.goto(`${server.url}/ui/health`);
  await live(ui);
  for (const name of ['Customer', 'Inventory', 'Order', 'Payment', 'Notification']) {
    await expect(ui.getByRole('row', { name: new RegExp(`^Works: ${name}`) })).toBeVisible();
  }
  await ui.getByRole('button', { name: 'Run the audit' }).click();
  await expect(ui.locator('#audit + .badge')).toContainText('0 violations in');
});

test('the theme can be chosen and is kept', async ({ ui, server }) => {
  await ui.emulateMedia({ colorScheme: 'light' });
  await ui.goto(`${server.url}/ui/`);
  const canvas = () =>
    ui.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await canvas();
  await ui.getByRole('button', { name: 'Theme: auto' }).click();
  await ui.getByRole('button', { name: 'Theme: light' }).click();
  expect(await canvas()).not.toBe(light);
  await ui.reload();
  await expect(ui.getByRole('button', { name: 'Theme: dark' })).toBeVisible();
  expect(await canvas()).not.toBe(light);
});

test('a narrow screen reaches every page through the menu, and nothing is cut off', async ({
  ui,
  server,
}) => {
  await ui.setViewportSize({ width: 360, height: 740 });
  await ui.goto(`${server.url}/ui/`);
  const menu = ui.getByRole('dialog', { name: 'Menu' });
  for (const name of ['Orders', 'Stock', 'Products', 'Customers', 'Notifications', 'Health']) {
    await ui.getByRole('button', { name: 'Menu', exact: true }).click();
    await menu.getByRole('link', { name, exact: true }).click();
    await expect(menu).toBeHidden();
    await expect(ui.getByRole('heading', { level: 1 })).toHaveText(name);
    await expect(ui.locator('.skeletons')).toHaveCount(0);
    const overflow = await ui.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow, name).toBeLessThanOrEqual(0);
  }
});

test('an address that nothing is at says so', async ({ ui, server }) => {
  await ui.goto(`${server.url}/ui/no/such/page`);
  await expect(ui.getByText('There is no such page')).toBeVisible();
  await ui.goto(`${server.url}/ui/orders/01a21a1d-987b-723e-84fa-23000000ffff`);
  await expect(ui.getByText('There is no such order')).toBeVisible();
});
