import { expect, live, test } from './fixture';

test('the table marks what is low or out, and follows the stock', async ({ ui, server }) => {
  await ui.goto(`${server.url}/ui/stock`);
  await live(ui);
  await expect(ui.locator('tr[data-sku="item13"] .badge')).toHaveText('Low');
  await expect(ui.locator('tr[data-sku="item16"] .badge')).toHaveText('Out');
  const available = ui.locator('tr[data-sku="item9"] .available');
  await expect(available).toHaveText('120');
  await server.place({ customerId: 'OMS-Cust-001', lines: [{ sku: 'item9', quantity: 20 }] });
  await expect(available).toHaveText('100');
  await expect(available).toHaveClass(/flash/);
  await ui.getByRole('button', { name: 'Out', exact: true }).click();
  await expect(ui.locator('tbody tr')).toHaveCount(1);
});

test('units are received, adjusted and set, and the journal says why', async ({ ui, server }) => {
  await ui.goto(`${server.url}/ui/stock/item14`);
  const available = ui.locator('[data-tile="available"] .value');
  await expect(available).toHaveText('90');
  await ui.getByRole('button', { name: 'Receive' }).click();
  await ui.getByRole('spinbutton', { name: 'Units' }).fill('10');
  await ui.getByLabel('Reason').fill('delivery 4711');
  await ui.getByRole('button', { name: 'Receive units' }).click();
  await expect(available).toHaveText('100');

  await ui.getByRole('button', { name: 'Adjust' }).click();
  await ui.getByRole('spinbutton', { name: 'Difference' }).fill('-3');
  await ui.getByRole('button', { name: 'Adjust stock' }).click();
  // The reason is asked for by the server, and shown at its field.
  await expect(ui.getByLabel('Reason')).toHaveAttribute('aria-invalid', 'true');
  await ui.getByLabel('Reason').fill('broken');
  await ui.getByRole('button', { name: 'Adjust stock' }).click();
  await expect(available).toHaveText('97');

  const journal = ui.getByRole('region', { name: 'Journal' });
  await expect(journal.locator('tbody tr').first()).toContainText('broken');
  await expect(journal.locator('tbody tr').nth(1)).toContainText('delivery 4711');
  await expect(ui.locator('.uplot canvas')).toBeVisible();
});

test('a count that somebody else overtook is explained, and set knowingly', async ({
  ui,
  server,
}) => {
  await ui.goto(`${server.url}/ui/stock/item12`);
  await ui.getByRole('button', { name: 'Set' }).click();
  await expect(ui.getByText('The shelf holds 2000 by the books.')).toBeVisible();
  await server.call('POST', '/api/v1/stock/item12/receive', { quantity: 5, reason: 'meanwhile' });
  await ui.getByRole('spinbutton', { name: 'Counted' }).fill('1990');
  await ui.getByLabel('Reason').fill('counted');
  await ui.getByRole('button', { name: 'Set the counted number' }).click();
  await expect(ui.locator('.conflict')).toContainText('holds 2,005 now');
  await ui.getByRole('button', { name: /Set it, knowing/ }).click();
  await expect(ui.locator('[data-tile="available"] .value')).toHaveText('1,990');
});

test('the stock of an earlier instant is computed from the journal', async ({ ui, server }) => {
  await ui.goto(`${server.url}/ui/stock/item10`);
  await ui.getByLabel('As of').fill('2020-01-01T12:00');
  await ui.getByLabel('As of').blur();
  await expect(ui.locator('.as-of [role="status"]')).toContainText('0 on hand');
});
