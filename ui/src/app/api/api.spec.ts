import { Api, address, newKey } from './api';
import { Problem } from './problem';

function answer(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

describe('the API', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is addressed with path and query filled in, and nothing empty', () => {
    expect(address('/a/{sku}/b', { sku: 'x/1 ü' })).toBe('/a/x%2F1%20%C3%BC/b');
    const query = { status: ['placed', 'paying'], q: '', sku: undefined, limit: 5 };
    expect(address('/a', {}, query)).toBe('/a?status=placed%2Cpaying&limit=5');
    expect(address('/a', {}, { status: [] })).toBe('/a');
  });

  it('sends a key with every change, the tag that was read, and how long to wait', async () => {
    const fetched = vi.fn(async () => answer(200, { name: 'x' }, { etag: '"8"' }));
    vi.stubGlobal('fetch', fetched);
    const body = { name: 'x', price: { amount: '1', currency: 'USD' } };
    const sending = { path: { sku: 'a' }, body, ifMatch: '"7"', key: 'k', wait: 3 };
    const { etag } = await new Api().ask('updateProduct', sending);
    expect(etag).toBe('"8"');
    const [url, init] = fetched.mock.calls[0] as unknown as [string, RequestInit];
    expect([url, init.method, init.body]).toEqual([
      '/api/v1/products/a',
      'PUT',
      JSON.stringify(body),
    ]);
    expect(init.headers).toMatchObject({
      'if-match': '"7"',
      'idempotency-key': 'k',
      prefer: 'wait=3',
    });
    await new Api().call('getHealth');
    const read = fetched.mock.calls[1] as unknown as [string, RequestInit];
    expect(read[1].headers).not.toHaveProperty('idempotency-key');
  });

  it('tells a refusal with its fields, and a missing answer as one that may pass', async () => {
    const errors = [{ pointer: '/name', code: 'missing', detail: 'say a name' }];
    const said = { type: '/problems/invalid-request', title: 'No', detail: 'name', errors };
    vi.stubGlobal('fetch', async () => answer(422, said));
    const refused = (await new Api().call('getHealth').catch((error) => error)) as Problem;
    expect([refused.status, refused.slug, refused.isPassing]).toEqual([
      422,
      'invalid-request',
      false,
    ]);
    expect(refused.errors).toEqual(errors);
    vi.stubGlobal('fetch', async () => new Response('<html>', { status: 502 }));
    const proxy = (await new Api().call('getHealth').catch((error) => error)) as Problem;
    expect([proxy.status, proxy.slug, proxy.isPassing]).toEqual([502, 'unknown', true]);
    vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('no net')));
    const away = (await new Api().call('getHealth').catch((error) => error)) as Problem;
    expect([away.status, away.isPassing]).toEqual([0, true]);
  });

  it('never makes the same key twice', () => {
    const keys = new Set(Array.from({ length: 1000 }, newKey));
    expect(keys.size).toBe(1000);
  });
});
