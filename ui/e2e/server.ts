import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Longer than any start or stop may take. */
const PATIENCE_MS = 30_000;
const LOG_LINES_MAX = 40;

/** The real product, running in a temporary folder. */
export class Server {
  private readonly folder = mkdtempSync(join(tmpdir(), 'millrace-ui-'));
  private process: ChildProcess | null = null;
  private log: string[] = [];
  /** Where it is, such as `http://127.0.0.1:41234`. The same after a restart. */
  url = '';

  private constructor(private readonly isDemo: boolean) {}

  /** Starts it with demo data. */
  static async start(): Promise<Server> {
    const server = new Server(true);
    await server.begin('127.0.0.1:0');
    return server;
  }

  /** Starts it with nothing in it. */
  static async startEmpty(): Promise<Server> {
    const server = new Server(false);
    await server.begin('127.0.0.1:0');
    return server;
  }

  /** Starts it again at the same place, on the same data. */
  async restart(): Promise<void> {
    await this.begin(this.url.replace('http://', ''));
  }

  /** Stops it as an operator would. */
  async stop(): Promise<void> {
    const process = this.process;
    if (!process) return;
    this.process = null;
    const ended = new Promise<void>((done) => process.once('exit', () => done()));
    process.kill('SIGTERM');
    const timer = setTimeout(() => process.kill('SIGKILL'), PATIENCE_MS);
    await ended;
    clearTimeout(timer);
  }

  /** Stops it and takes its data away. */
  async end(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Calls the API, for what a test needs and does not test. */
  async call<T>(method: string, path: string, body?: unknown, headers = {}): Promise<T> {
    const response = await fetch(this.url + path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Places an order and waits until it is settled. */
  async place(order: object): Promise<{ orderId: string; number: number; status: string }> {
    return this.call('POST', '/api/v1/orders', order, { prefer: 'wait=5' });
  }

  private async begin(http: string): Promise<void> {
    const program = process.env['MILLRACE_BIN'];
    if (!program) throw new Error('MILLRACE_BIN must name the program `millrace` to test');
    const place = ['--data', join(this.folder, 'data'), '--http', http, '--grpc', '127.0.0.1:0'];
    const demo = this.isDemo ? ['--demo'] : [];
    // What is set for the tests is no configuration of the product.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_')),
    );
    const child = spawn(program, ['up', ...demo, ...place], {
      cwd: this.folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = child;
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.log = [...this.log, line].slice(-LOG_LINES_MAX);
    });
    this.url = await new Promise<string>((ready, fail) => {
      const complain = (why: string): void => fail(new Error(`${why}:\n${this.log.join('\n')}`));
      const timer = setTimeout(() => complain('the server does not become ready'), PATIENCE_MS);
      child.once('error', (error) => complain(error.message));
      child.once('exit', (code) => complain(`the server ended with ${code}`));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const found = /http (http:\/\/\S+)/.exec(line)?.[1];
        if (!found) return;
        clearTimeout(timer);
        ready(found);
      });
    });
    const page = await fetch(this.url, { headers: { accept: 'text/html' } });
    if (!(await page.text()).includes('<mr-root')) {
      await this.end();
      throw new Error(
        `${program} was built without the browser interface: run \`cargo xtask ui build\`, then build it anew`,
      );
    }
  }
}
