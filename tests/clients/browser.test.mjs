// Chromium: EventSource, and sockjs-client by every transport that a browser has, carrying STOMP.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { start } from './product.mjs';

const file = (name) => readFile(new URL(`node_modules/${name}`, import.meta.url), 'utf8');
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--no-first-run',
  // A page that the test itself puts under our origin has no address, so that Chromium takes it for one
  // of a foreign network and keeps its sockets from this machine.
  '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets',
];
const PAGE = `<!doctype html><title>clients</title>
<script src="/clients/sockjs.js"></script><script src="/clients/stomp.js"></script>`;

let product;
let elsewhere;
let browser;
let files;
before(async () => {
  files = {
    '/clients/': { contentType: 'text/html', body: PAGE },
    '/clients/sockjs.js': {
      contentType: 'text/javascript',
      body: await file('sockjs-client/dist/sockjs.min.js'),
    },
    '/clients/stomp.js': {
      contentType: 'text/javascript',
      body: await file('@stomp/stompjs/bundles/stomp.umd.min.js'),
    },
  };
  // Another site, with the same page.
  elsewhere = createServer((asked, answer) => {
    const found = files[asked.url];
    answer.writeHead(found ? 200 : 404, { 'content-type': found?.contentType ?? 'text/plain' });
    answer.end(found?.body);
  });
  elsewhere.listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  const other = `http://127.0.0.1:${elsewhere.address().port}`;
  product = await start({
    settings: {
      MILLRACE_EDGE__LIVE__ORIGINS: `["${other}"]`,
      MILLRACE_EDGE__LIVE__SOCKJS_CLIENT_URL: `${other}/clients/sockjs.js`,
    },
  });
  elsewhere.url = other;
  browser = await chromium.launch({ executablePath: process.env.MILLRACE_CHROMIUM, args: FLAGS });
});
after(async () => {
  await browser?.close();
  elsewhere?.closeAllConnections();
  elsewhere?.close();
  await product?.end();
});

/** The test page, as a page of the product itself or of another site. */
async function open(site) {
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  if (site === product.url) {
    await page.route(`${product.url}/clients/**`, (route) => {
      route.fulfill(files[new URL(route.request().url()).pathname]);
    });
  }
  await page.goto(`${site}/clients/`);
  return { page, problems };
}

/** Follows orders in the page; resolves once the subscription stands. */
function follow(page, url, transport) {
  return page.evaluate(
    ([url, transport]) =>
      new Promise((resolve, reject) => {
        window.heard = [];
        const socket = new SockJS(`${url}/ws-orders`, null, { transports: [transport], timeout: 10000 });
        const client = new StompJs.Client({
          webSocketFactory: () => socket,
          reconnectDelay: 0,
          onStompError: (frame) => reject(new Error(frame.body)),
          onWebSocketClose: (event) => reject(new Error(`closed ${event.code} ${event.reason}`)),
        });
        client.onConnect = () => {
          client.watchForReceipt('there', () => resolve(socket.transport));
          client.subscribe('/topic/orders', ({ body }) => window.heard.push(JSON.parse(body)), {
            receipt: 'there',
          });
        };
        client.activate();
        window.client = client;
      }),
    [url, transport],
  );
}

async function through(site, transport) {
  const { page, problems } = await open(site);
  assert.equal(await follow(page, product.url, transport), transport);
  const order = await product.order();
  await page.waitForFunction(
    (id) => window.heard.some(({ orderId, status }) => orderId === id && status === 'confirmed'),
    order.orderId,
    { timeout: 15_000 },
  );
  assert.deepEqual(problems, []);
  await page.evaluate(() => window.client.deactivate());
  await page.close();
}

for (const transport of ['websocket', 'xhr-streaming', 'eventsource', 'htmlfile', 'xhr-polling']) {
  test(`our own page follows an order through ${transport}`, () => through(product.url, transport));
}

for (const transport of [
  'websocket', 'xhr-streaming', 'xhr-polling', 'iframe-eventsource', 'iframe-htmlfile',
  'iframe-xhr-polling',
]) {
  test(`a page of a named site follows an order through ${transport}`, () =>
    through(elsewhere.url, transport));
}

test('EventSource shows what there is, what changes, and comes back by itself', async () => {
  const { page } = await open(product.url);
  await page.evaluate(() => {
    window.heard = [];
    const source = new EventSource('/api/v1/orders/stream');
    for (const name of ['snapshot', 'ready', 'order', 'reset']) {
      source.addEventListener(name, ({ data, lastEventId }) => {
        window.heard.push({ name, data: JSON.parse(data), lastEventId });
      });
    }
  });
  await page.waitForFunction(() => window.heard.some(({ name }) => name === 'ready'));
  const order = await product.order();
  await page.waitForFunction(
    (id) => window.heard.some(({ data }) => data.orderId === id && data.status === 'confirmed'),
    order.orderId,
  );
  const last = await page.evaluate(() => window.heard.at(-1).lastEventId);
  assert.match(last, /^\d+-\d+$/);
  await page.close();
});
