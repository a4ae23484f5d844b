// sockjs-client in Node, by every transport that it has there, carrying STOMP.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Client } from '@stomp/stompjs';
import { Heard, start } from './product.mjs';

const SockJS = createRequire(import.meta.url)('sockjs-client');

let product;
before(async () => {
  product = await start();
});
after(() => product.end());

for (const transport of ['websocket', 'xhr-streaming', 'eventsource', 'xhr-polling']) {
  test(`an order is followed through ${transport}`, async () => {
    const heard = new Heard();
    const client = new Client({
      webSocketFactory: () => {
        const socket = new SockJS(`${product.url}/ws-orders`, null, { transports: transport });
        socket.addEventListener('open', () => heard.push({ transport: socket.transport }));
        return socket;
      },
      reconnectDelay: 0,
      onStompError: (frame) => heard.push({ error: frame.body }),
    });
    client.onConnect = () => {
      client.subscribe('/topic/orders', ({ body }) => heard.push({ body: JSON.parse(body) }), {
        receipt: 'subscribed',
      });
      client.watchForReceipt('subscribed', () => heard.push({ subscribed: true }));
    };
    client.activate();
    await heard.until(({ subscribed }) => subscribed, 'the receipt');
    assert.equal(heard.all.find((one) => one.transport)?.transport, transport);
    assert.ok((await product.overview()).live.sockjs >= 1);
    const order = await product.order();
    await heard.until(
      ({ body }) => body?.orderId === order.orderId && body.status === 'confirmed',
      'the confirmed order',
    );
    await client.deactivate();
  });
}
