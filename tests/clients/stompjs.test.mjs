// @stomp/stompjs over a WebSocket: every version, receipts, acknowledgements, errors, and coming back.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, Versions } from '@stomp/stompjs';
import WebSocket from 'ws';
import { Heard, start } from './product.mjs';

let product;
before(async () => {
  product = await start();
});
after(() => product.end());

/** A connected client, and what it hears. */
async function connect(versions, path = '/ws-orders', target = product) {
  const heard = new Heard();
  const client = new Client({
    webSocketFactory: () => new WebSocket(`${target.ws}${path}`, versions.protocolVersions()),
    stompVersions: versions,
    reconnectDelay: 0,
    heartbeatIncoming: 10_000,
    heartbeatOutgoing: 10_000,
    onStompError: (frame) => heard.push({ error: frame }),
    onWebSocketClose: (event) => heard.push({ closed: event.code }),
  });
  await new Promise((resolve, reject) => {
    client.onConnect = resolve;
    client.onWebSocketError = reject;
    client.activate();
  });
  return { client, heard };
}

function subscribe({ client, heard }, destination, headers = {}) {
  const seen = (message) => heard.push({ message, body: JSON.parse(message.body) });
  const subscription = client.subscribe(destination, seen, { ...headers, receipt: `to ${destination}` });
  return new Promise((resolve) => {
    client.watchForReceipt(`to ${destination}`, () => resolve(subscription));
  });
}

for (const version of ['1.0', '1.1', '1.2']) {
  for (const path of ['/ws-orders', '/ws-orders/websocket']) {
    test(`an order is followed to its end by STOMP ${version} at ${path}`, async () => {
      const session = await connect(new Versions([version]), path);
      assert.equal(session.client.connectedVersion, version);
      await subscribe(session, '/topic/orders');
      await subscribe(session, '/topic/stock.item2');
      const order = await product.order('item2', 2);
      const confirmed = await session.heard.until(
        ({ body }) => body?.orderId === order.orderId && body.status === 'confirmed',
        'the confirmed order',
      );
      assert.equal(confirmed.message.headers['content-type'], 'application/json');
      assert.equal(confirmed.message.headers.event, 'order');
      assert.match(confirmed.message.headers.position, /^\d+-\d+$/);
      assert.equal(confirmed.message.headers.destination, '/topic/orders');
      const level = await session.heard.until(({ body }) => body?.sku === 'item2', 'the level');
      assert.equal(level.body.available, level.body.onHand - level.body.held - level.body.allocated);
      assert.ok((await product.overview()).live.stomp >= 1);
      await session.client.deactivate();
    });
  }
}

test('one order is followed by its id, and nothing else', async () => {
  const session = await connect(Versions.default);
  const order = await product.order();
  await subscribe(session, `/topic/orders.${order.orderId}`);
  const other = await product.order();
  const cancelled = await fetch(`${product.url}/api/v1/orders/${order.orderId}/cancel`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
    body: JSON.stringify({ reason: 'changed my mind' }),
  });
  assert.equal(cancelled.status, 200, await cancelled.text());
  await session.heard.until(({ body }) => body?.status === 'cancelled', 'the cancelled order');
  assert.ok(session.heard.all.every(({ body }) => !body || body.orderId === order.orderId));
  assert.notEqual(other.orderId, order.orderId);
  await session.client.deactivate();
});

test('messages are acknowledged in every mode, within a transaction too', async () => {
  for (const ack of ['client', 'client-individual']) {
    const session = await connect(Versions.default);
    await subscribe(session, '/topic/stock.item1', { ack });
    await product.order('item1');
    const { message } = await session.heard.until(({ body }) => body?.sku === 'item1', 'the level');
    const transaction = session.client.begin();
    message.ack({ transaction: transaction.id });
    transaction.commit();
    message.nack();
    await subscribe(session, '/topic/orders');
    assert.ok(!session.heard.all.some(({ error }) => error));
    await session.client.deactivate();
  }
});

test('sending and unknown destinations are refused with a reason, and the socket closes', async () => {
  for (const act of [
    (client) => client.publish({ destination: '/topic/orders', body: '{}' }),
    (client) => client.subscribe('/queue/secret', () => {}),
  ]) {
    const session = await connect(Versions.default);
    act(session.client);
    const { error } = await session.heard.until(({ error }) => error, 'the ERROR');
    assert.ok(error.headers.message && error.body.length > 20, error.body);
    await session.heard.until(({ closed }) => closed, 'the close');
    await session.client.deactivate();
  }
});

test('a client that was away goes on where it stood, over a restart of the server', async () => {
  const first = await start();
  try {
    let session = await connect(Versions.default, '/ws-orders', first);
    await subscribe(session, '/topic/orders');
    const seen = await first.order();
    const last = await session.heard.until(
      ({ body }) => body?.orderId === seen.orderId && body.status === 'confirmed',
      'the order before the restart',
    );
    const { position } = last.message.headers;
    const bye = session.heard.until(({ message }) => message?.headers.event === 'bye', 'the bye');
    const closed = session.heard.until(({ closed }) => closed, 'the close');
    await first.client?.deactivate();
    const stopped = first.stop();
    assert.ok((await bye).body.reconnectAfterMs > 0);
    assert.equal((await closed).closed, 1012);
    await stopped;
    await session.client.deactivate();
    const second = await start({ data: first.folder, http: first.address });
    try {
      const missed = await second.order();
      session = await connect(Versions.default, '/ws-orders', second);
      await subscribe(session, '/topic/orders', { position });
      await session.heard.until(({ body }) => body?.orderId === missed.orderId, 'what was missed');
      assert.ok(!session.heard.all.some(({ message }) => message?.headers.event === 'reset'));
      await session.client.deactivate();
    } finally {
      await second.stop();
    }
  } finally {
    await first.end();
  }
});

test('a page of another site may not connect', async () => {
  const socket = new WebSocket(`${product.ws}/ws-orders`, { origin: 'https://elsewhere.example' });
  const [error] = await new Promise((resolve) => socket.once('error', (...all) => resolve(all)));
  assert.match(error.message, /403/);
});
