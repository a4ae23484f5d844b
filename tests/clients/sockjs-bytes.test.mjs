// Our SockJS next to the server that its makers wrote for Node: the same requests, the same bytes.

import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { start } from './product.mjs';

const sockjs = createRequire(import.meta.url)('sockjs');

let product;
let reference;
let theirs;
before(async () => {
  product = await start({ settings: { MILLRACE_EDGE__LIVE__SOCKJS_CLIENT_URL: 'http://localhost/sockjs.js' } });
  const echo = sockjs.createServer({ log: () => {}, sockjs_url: 'http://localhost/sockjs.js' });
  echo.on('connection', (connection) => connection?.on('data', (text) => connection.write(text)));
  reference = createServer();
  echo.installHandlers(reference, { prefix: '/ws-orders' });
  reference.listen(0, '127.0.0.1');
  await once(reference, 'listening');
  theirs = `http://127.0.0.1:${reference.address().port}`;
});
after(async () => {
  reference.closeAllConnections();
  reference.close();
  await product.end();
});

/** Asks for `path` and reads until the body is over, or `enough` of it is there. */
function ask(base, { method = 'GET', path, headers = {}, body = '', enough }) {
  return new Promise((resolve, reject) => {
    const asked = request(`${base}/ws-orders${path}`, { method, headers, agent: false }, (answer) => {
      let text = '';
      const done = () => {
        answer.destroy();
        const kept = {};
        for (const name of [
          'content-type', 'cache-control', 'allow', 'access-control-allow-origin',
          'access-control-allow-credentials', 'access-control-allow-headers', 'access-control-max-age',
        ]) {
          // The empty type of an empty answer says nothing.
          if (answer.headers[name] !== undefined && text !== '') kept[name] = answer.headers[name];
        }
        resolve({ status: answer.statusCode, headers: kept, text });
      };
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => {
        text += chunk;
        if (enough && text.length >= enough) done();
      });
      answer.on('end', done);
    });
    asked.on('error', reject);
    if (method === 'POST') asked.setHeader('content-length', Buffer.byteLength(body));
    asked.end(body);
  });
}

const session = () => `/000/${crypto.randomUUID()}`;
const origin = { Origin: 'http://127.0.0.1:1' };

/** One request, or several that follow each other in one session. */
const scenarios = {
  'the greeting': () => [{ path: '' }],
  'the greeting with a slash': () => [{ path: '/' }],
  'a poll that opens': () => [{ method: 'POST', path: `${session()}/xhr` }],
  'a stream that opens': () => [{ method: 'POST', path: `${session()}/xhr_streaming`, enough: 2051 }],
  'events that open': () => [{ path: `${session()}/eventsource`, enough: 13 }],
  'a page that opens': () => [{ path: `${session()}/htmlfile?c=callback`, enough: 1063 }],
  'a page without a callback': () => [{ path: `${session()}/htmlfile` }],
  'a page with a bad callback': () => [{ path: `${session()}/htmlfile?c=a(` }],
  'nothing sent': () => {
    const path = session();
    return [{ method: 'POST', path: `${path}/xhr` }, { method: 'POST', path: `${path}/xhr_send` }];
  },
  'broken messages': () => {
    const path = session();
    return [
      { method: 'POST', path: `${path}/xhr` },
      { method: 'POST', path: `${path}/xhr_send`, body: '["x' },
    ];
  },
  'a good message': () => {
    const path = session();
    return [
      { method: 'POST', path: `${path}/xhr` },
      { method: 'POST', path: `${path}/xhr_send`, body: '["\\n"]' },
    ];
  },
  'a poll across origins': () => [{ method: 'POST', path: `${session()}/xhr`, allowed: true }],
};

for (const [name, requests] of Object.entries(scenarios)) {
  test(`${name}: the same bytes`, async () => {
    const asked = requests();
    for (const one of asked) {
      const headers = one.allowed
        ? [{ Origin: product.url }, { Origin: theirs }]
        : [{}, {}];
      const ours = await ask(product.url, { ...one, headers: headers[0] });
      const other = await ask(theirs, { ...one, headers: headers[1] });
      const plain = (answer, own) => JSON.parse(JSON.stringify(answer).replaceAll(own, 'http://own'));
      const [we, they] = [plain(ours, product.url), plain(other, theirs)];
      assert.deepEqual([we.status, we.text], [they.status, they.text]);
      // What they say in headers, we say; we forbid a few things more.
      const shared = Object.fromEntries(Object.keys(they.headers).map((key) => [key, we.headers[key]]));
      assert.deepEqual(shared, they.headers);
    }
  });
}

test('info says the same, but for the entropy', async () => {
  const info = async (base) => {
    const { entropy, ...rest } = JSON.parse((await ask(base, { path: '/info' })).text);
    assert.ok(Number.isInteger(entropy));
    return rest;
  };
  assert.deepEqual(await info(product.url), await info(theirs));
});

test('what is not there is nowhere', async () => {
  for (const path of ['/a', '/a.html', '//', '/a/a/a', '/a./a/xhr', '/iframe.htm', '/IFRAME.html']) {
    const statuses = [await ask(product.url, { path }), await ask(theirs, { path })];
    assert.deepEqual(statuses.map(({ status }) => status), [404, 404], path);
  }
  // The one difference: pages of origins that nobody has named are refused.
  const path = `${session()}/xhr`;
  assert.equal((await ask(product.url, { method: 'POST', path, headers: origin })).status, 403);
});
