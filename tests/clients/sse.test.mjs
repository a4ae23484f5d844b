// Server-sent events as a browser reads them: snapshot, what changes, and coming back.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Heard, start } from './product.mjs';

let product;
before(async () => {
  product = await start();
});
after(() => product.end());

/** Reads a stream by the rules of the HTML standard. */
async function read(url, headers = {}) {
  const abort = new AbortController();
  const response = await fetch(url, { headers, signal: abort.signal });
  const heard = new Heard();
  const pump = async () => {
    const decoder = new TextDecoder();
    let text = '';
    let lastId = '';
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const fields = { event: 'message' };
        for (const line of text.slice(0, end).split('\n')) {
          const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
          if (name) fields[name] = value;
        }
        text = text.slice(end + 2);
        lastId = fields.id ?? lastId;
        if (fields.data !== undefined) heard.push({ ...fields, lastId, data: JSON.parse(fields.data) });
        else if (fields.retry) heard.push(fields);
      }
    }
    heard.push({ ended: true });
  };
  pump().catch(() => heard.push({ ended: true }));
  return { response, heard, close: () => abort.abort() };
}

test('the headers keep proxies from gathering or packing the stream', async () => {
  const headers = { 'accept-encoding': 'gzip, br' };
  const stream = await read(`${product.url}/api/v1/stock/stream`, headers);
  assert.equal(stream.response.headers.get('content-type'), 'text/event-stream');
  assert.match(stream.response.headers.get('cache-control'), /no-store/);
  assert.equal(stream.response.headers.get('x-accel-buffering'), 'no');
  assert.equal(stream.response.headers.get('content-encoding'), null);
  assert.equal((await stream.heard.until(({ retry }) => retry, 'retry')).retry, '3000');
  stream.close();
});

test('a stream begins with what there is and goes on with what changes', async () => {
  const stock = await read(`${product.url}/api/v1/stock/stream?sku=item1&sku=item2`);
  const { data } = await stock.heard.until(({ event }) => event === 'snapshot', 'the snapshot');
  assert.deepEqual(data.items.map(({ sku }) => sku).sort(), ['item1', 'item2']);
  await stock.heard.until(({ event }) => event === 'ready', 'ready');
  const orders = await read(`${product.url}/api/v1/orders/stream?snapshot=false`);
  const seeds = await read(`${product.url}/order-events`);
  await orders.heard.until(({ event }) => event === 'ready', 'ready');
  assert.ok(!orders.heard.all.some(({ event }) => event === 'snapshot'));
  const order = await product.order('item2', 3);
  const confirmed = await orders.heard.until(
    ({ data }) => data?.orderId === order.orderId && data.status === 'confirmed',
    'the confirmed order',
  );
  const shown = await (await fetch(`${product.url}/api/v1/orders/${order.orderId}`)).json();
  assert.deepEqual(confirmed.data, shown, 'while few orders change, they are told whole');
  const level = await stock.heard.until(
    ({ event, data }) => event === 'stock' && data.sku === 'item2' && data.allocated > 0,
    'the level',
  );
  const row = data.items.find(({ sku }) => sku === 'item2');
  assert.equal(level.data.available, row.available - 3);
  const seed = await seeds.heard.until(({ event }) => event === 'stock-update', 'the seed event');
  assert.deepEqual(Object.keys(seed.data).sort(), ['orderId', 'product', 'stock']);
  assert.deepEqual([seed.data.orderId, seed.data.product], [order.orderId, 'item2']);
  for (const stream of [stock, orders, seeds]) stream.close();
});

test('what is asked wrongly is refused with the place', async () => {
  for (const [query, place] of [
    ['stock/stream?sku=two%20words', 'sku'],
    ['stock/stream?order=1', 'order'],
    ['orders/stream?order=7', 'order'],
    ['orders/stream?snapshot=maybe', 'snapshot'],
    [`stock/stream?${'sku=x&'.repeat(201)}`, 'sku'],
  ]) {
    const response = await fetch(`${product.url}/api/v1/${query}`);
    assert.equal(response.status, 400);
    assert.match(await response.text(), new RegExp(place));
  }
});

test('a reader that was away goes on where it stood, over a restart, with nothing missed', async () => {
  const first = await start();
  const before = await read(`${first.url}/api/v1/orders/stream`);
  await before.heard.until(({ event }) => event === 'ready', 'ready');
  const seen = await first.order();
  const last = await before.heard.until(
    ({ data }) => data?.orderId === seen.orderId && data.status === 'confirmed',
    'the order before the restart',
  );
  const stopped = first.stop();
  const bye = await before.heard.until(({ event }) => event === 'bye', 'bye');
  assert.ok(bye.data.reconnectAfterMs > 0 && bye.data.reconnectAfterMs <= 5000);
  await before.heard.until(({ ended }) => ended, 'the end');
  await stopped;
  const second = await start({ data: first.folder, http: first.address });
  const missed = [await second.order(), await second.order('item2')];
  const back = await read(`${second.url}/api/v1/orders/stream`, { 'last-event-id': last.lastId });
  for (const { orderId } of missed) {
    await back.heard.until(({ data }) => data?.orderId === orderId, 'an order that was missed');
  }
  assert.ok(!back.heard.all.some(({ event }) => event === 'reset' || event === 'snapshot'));
  assert.ok(!back.heard.all.some(({ data }) => data?.orderId === seen.orderId), 'nothing twice');
  back.close();
  for (const id of ['999999-0', 'garbage', '1-0-0']) {
    const lost = await read(`${second.url}/api/v1/orders/stream?lastEventId=${id}`);
    const reset = await lost.heard.until(({ event }) => event === 'reset', 'reset');
    assert.equal(reset.data.reason, 'expired');
    lost.close();
  }
  await second.end();
});
