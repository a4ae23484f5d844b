// The real product, started for a test on free ports in a temporary folder, and ended by its id.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Starts the product with demo data; `settings` go into its environment. */
export async function start({ settings = {}, data, http = '127.0.0.1:0' } = {}) {
  const program = process.env.MILLRACE_BIN;
  if (!program) throw new Error('set MILLRACE_BIN to the millrace program; `cargo xtask clients` does');
  // The product refuses settings that it does not know.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_'));
  const folder = data ?? (await mkdtemp(join(tmpdir(), 'millrace-clients-')));
  const child = spawn(
    program,
    ['up', '--demo', '--data', folder, '--http', http, '--grpc', '127.0.0.1:0'],
    { env: { ...Object.fromEntries(inherited), ...settings }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const url = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`millrace ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const ready = /ready: http (http:\S+)/.exec(line);
      if (ready) resolve(ready[1]);
    });
  });
  const product = {
    url,
    folder,
    address: new URL(url).host,
    ws: url.replace('http', 'ws'),
    /** Places an order for `sku` and returns it. */
    async order(sku = 'item1', quantity = 1) {
      const response = await fetch(`${url}/api/v1/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
        body: JSON.stringify({ customerId: 'OMS-Cust-001', lines: [{ sku, quantity }] }),
      });
      if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
      return response.json();
    },
    async overview() {
      return (await fetch(`${url}/api/v1/overview`)).json();
    },
    /** Ends the product and keeps its data. */
    async stop() {
      if (child.exitCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
    /** Ends the product and removes its data. */
    async end() {
      await product.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return product;
}

/** Resolves with the first value of `look` that is not undefined; looks whenever it is woken. */
export class Heard {
  #all = [];
  #wake = () => {};

  push(value) {
    this.#all.push(value);
    this.#wake();
  }

  get all() {
    return this.#all;
  }

  async until(look, what, patience = 15_000) {
    const deadline = Date.now() + patience;
    for (;;) {
      const found = this.#all.find(look);
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      if (left <= 0) {
        throw new Error(`${what} did not come; there came ${JSON.stringify(this.#all).slice(0, 2000)}`);
      }
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, left).unref();
      });
    }
  }
}
