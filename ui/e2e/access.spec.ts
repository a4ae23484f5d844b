import { expect, test, violations } from './fixture';

const PAGES: readonly (readonly [string, string])[] = [
  ['dashboard', ''],
  ['orders', 'orders'],
  ['new order', 'orders/new'],
  ['stock', 'stock'],
  ['stock of one SKU', 'stock/item1'],
  ['products', 'products'],
  ['customers', 'customers'],
  ['notifications', 'notifications'],
  ['templates', 'notifications?view=templates'],
  ['health', 'health'],
  ['nowhere', 'no/such/page'],
];

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing on any page, ${colorScheme}`, async ({ ui, server }) => {
    test.setTimeout(180_000);
    await ui.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const line = [{ sku: 'item1', quantity: 1 }];
    const { orderId } = await server.place({ customerId: 'OMS-Cust-001', lines: line });
    const cancelled = await server.place({ customerId: 'OMS-Cust-009', lines: line });
    const pages = [
      ...PAGES,
      ['order', `orders/${orderId}`],
      ['rejected order', `orders/${cancelled.orderId}`],
    ] as const;
    for (const [name, path] of pages) {
      await ui.goto(`${server.url}/ui/${path}`);
      await expect(ui.getByRole('heading', { level: 1 })).toBeVisible();
      await expect(ui.locator('.skeletons')).toHaveCount(0);
      expect(await violations(ui), name).toEqual([]);
    }
    const boxes: readonly (readonly [string, string])[] = [
      ['products', 'New product'],
      ['customers', 'Edit Ada Brandt'],
      ['stock/item1', 'Set'],
      [`orders/${orderId}`, 'Cancel order'],
    ];
    for (const [path, button] of boxes) {
      await ui.goto(`${server.url}/ui/${path}`);
      await ui.getByRole('button', { name: button, exact: true }).click();
      await expect(ui.getByRole('dialog')).toBeVisible();
      expect(await violations(ui), button).toEqual([]);
    }
    await ui.setViewportSize({ width: 360, height: 740 });
    for (const path of ['', 'orders', `orders/${orderId}`, 'stock']) {
      await ui.goto(`${server.url}/ui/${path}`);
      await expect(ui.locator('.skeletons')).toHaveCount(0);
      expect(await violations(ui), `narrow ${path}`).toEqual([]);
    }
  });
}
