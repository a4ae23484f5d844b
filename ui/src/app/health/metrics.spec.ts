import type { ProcessHealth } from '../api/schema';
import { bytes, checksOf, isPartial, servicesOf, sumOf, versionsOf } from './metrics';

const process = (services: string[], rest: Partial<ProcessHealth> = {}): ProcessHealth => ({
  services,
  status: 'ready',
  version: '0.1.0',
  parts: [],
  metrics: {},
  ...rest,
});

const ORDER = process(['order'], {
  parts: [
    { name: 'order', ok: true, detail: '900 events handled' },
    { name: 'store', ok: true, detail: 'the database answers' },
  ],
  metrics: {
    millrace_resident_bytes: 1000,
    'millrace_consumer_events_total{consumer="order"}': 900,
    'millrace_consumer_failures_total{consumer="order"}': 2,
    'millrace_consumer_blocked_keys{consumer="order"}': 1,
    'millrace_consumer_delay_seconds{consumer="order"}': 0.004,
  },
});

describe('the health of processes', () => {
  it('is summed over those who tell', () => {
    const edge = process(['edge'], { metrics: { millrace_resident_bytes: 500 } });
    expect(sumOf([edge, ORDER], 'millrace_resident_bytes')).toBe(1500);
    expect(sumOf([edge, ORDER], 'millrace_orders_open')).toBeNull();
  });

  it('is told by a row for each service, with what its consumer heard', () => {
    const [edge, order, ...more] = servicesOf([process(['edge']), ORDER]);
    expect(more).toEqual([]);
    expect(edge).toMatchObject({ name: 'edge', ok: true, handled: null, delay: null });
    expect(order).toMatchObject({ ok: true, handled: 900, failures: 2, blocked: 1, delay: 0.004 });
  });

  it('names what is wrong with a service, also if it does not answer', () => {
    const away = { name: 'store', ok: false, detail: 'the database is away' };
    const silent = { name: 'payment', ok: false, detail: 'it does not answer' };
    const services = servicesOf([
      process(['order'], { status: 'not_ready', parts: [away] }),
      process(['payment'], { status: 'unreachable', version: '', parts: [silent] }),
      process(['catalog'], { status: 'starting' }),
    ]);
    expect(services.map(({ ok, troubles }) => [ok, ...troubles])).toEqual([
      [false, 'the database is away'],
      [false, 'it does not answer'],
      [false],
    ]);
  });

  it('shows the other parts of a process that runs many', () => {
    const away = { name: 'store', ok: false, detail: 'the database is away' };
    const all = process(['edge', 'order'], { status: 'not_ready', parts: [away] });
    expect(servicesOf([all]).map(({ name, ok }) => [name, ok])).toEqual([
      ['edge', true],
      ['order', true],
      ['store', false],
    ]);
  });

  it('lists each version once', () => {
    const silent = process(['payment'], { version: '' });
    const older = process(['order'], { version: '0.0.9' });
    expect(versionsOf([ORDER, ORDER, silent, older])).toEqual(['0.0.9', '0.1.0']);
  });

  it('says sizes in the unit that fits', () => {
    expect([2048, 69_730_304, 3 * 1024 ** 3].map(bytes)).toEqual(['2 KiB', '66.5 MiB', '3.00 GiB']);
  });

  it('takes an audit report without checks for one without', () => {
    expect(checksOf({ violations: [] })).toEqual([]);
    expect(checksOf({ checks: [{ id: 'EV-1' }] })).toHaveLength(1);
  });

  it('tells an audit of each service alone from one of everything', () => {
    expect([{ clean: true }, { partial: false }, { partial: true }].map(isPartial)).toEqual([
      false,
      false,
      true,
    ]);
  });
});
